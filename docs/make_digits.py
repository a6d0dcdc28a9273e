"""Make the pictures of the tutorial: handwritten digits as PNG files, in a folder for each label.

They are scikit-learn's 1,797 digits of 8 × 8 pixels, enlarged, dark ink on paper. The first 1,400 are the initial
data, the others are added later.
"""

from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

FOLDER = Path("tutorial")
N_FIRST = 1400

digits = load_digits()
for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
    folder = FOLDER / ("my-digits" if number < N_FIRST else "new-digits") / str(label)
    folder.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray((255 - 15 * image).astype("uint8"))
    picture.resize((64, 64), Image.Resampling.BICUBIC).save(folder / f"{number:04}.png")
