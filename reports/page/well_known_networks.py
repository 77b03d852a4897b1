"""Well-known image classifiers, to compare the networks of a page with.

Parameters and multiply-adds at the named size, batch 1, at inference, by `analyze --model torchvision:NAME` with
torchvision 0.29.
"""

from __future__ import annotations

WELL_KNOWN = (
    ("ResNet-18", 224, 11_689_512, 1_814_073_344),
    ("ResNet-50", 224, 25_557_032, 4_089_184_256),
    ("ResNet-152", 224, 60_192_808, 11_513_626_624),
    ("MobileNetV2", 224, 3_504_872, 300_774_272),
    ("MobileNetV3-L", 224, 5_483_032, 216_589_760),
    ("EfficientNet-B0", 224, 5_288_548, 385_814_752),
    ("EfficientNet-B4", 380, 19_341_616, 4_393_771_024),
    ("SqueezeNet 1.1", 224, 1_235_496, 349_151_936),
    ("ShuffleNetV2", 224, 2_278_604, 144_907_992),
    ("DenseNet-121", 224, 7_978_856, 2_834_161_664),
    ("VGG-16", 224, 138_357_544, 15_470_264_320),
    ("AlexNet", 224, 61_100_840, 714_188_480),
    ("ConvNeXt-T", 224, 28_589_128, 4_455_531_264),
    ("ViT-B/16", 224, 86_567_656, 17_563_828_224),
    ("Swin-T", 224, 28_288_354, 4_490_566_656),
    ("RegNetY-8GF", 224, 39_381_472, 8_473_070_592),
)
