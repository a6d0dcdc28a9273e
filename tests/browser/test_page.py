# ruff: noqa: E501, strokes are read across
"""The service's page in Chromium, with a champion that was trained on MNIST; the service's answers beside predict's."""

import contextlib
import io
import json
import re
import shlex
import signal
import subprocess
import sys

import httpx
import numpy as np
import pandas as pd
import prefect_ui
import pytest
from PIL import Image
from samples import ROOT, clean_environment
from serving import free_port

from tasks.sources import mnist

pytestmark = [pytest.mark.browser, pytest.mark.mnist, pytest.mark.prefect]

OVAL = [(140, 40), (95, 65), (80, 140), (95, 215), (140, 240), (185, 215), (200, 140), (185, 65), (140, 40)]
STROKES = {
    0: [OVAL],
    1: [[(140, 40), (140, 240)]],
    2: [[(85, 85), (105, 50), (145, 40), (185, 60), (190, 100), (160, 150), (85, 235), (205, 235)]],
    3: [[(90, 55), (140, 40), (185, 65), (180, 110), (130, 135), (185, 160), (195, 205), (150, 240), (85, 225)]],
    4: [[(95, 45), (85, 150), (200, 150)], [(180, 45), (175, 240)]],
    5: [[(195, 45), (100, 45), (95, 130), (150, 120), (195, 155), (190, 210), (140, 240), (85, 225)]],
    6: [[(175, 40), (110, 100), (85, 180), (105, 230), (150, 240), (190, 210), (180, 160), (130, 150), (90, 185)]],
    7: [[(80, 50), (200, 50), (165, 130), (130, 240)]],
    8: [[(185, 70), (140, 40), (95, 70), (115, 120), (180, 170), (180, 225), (140, 242), (95, 220), (105, 165), (170, 115), (185, 70)]],
    9: [[(185, 90), (150, 45), (100, 60), (90, 110), (130, 140), (180, 110), (185, 90), (180, 160), (165, 240)]],
}  # fmt: skip


@pytest.fixture(scope="module")
def service(mnist_run, tmp_path_factory):
    """Yield a client of the service of a champion, in a folder with its store and inbox."""
    folder, port = tmp_path_factory.mktemp("service"), free_port()
    (folder / "store").symlink_to(mnist_run[0] / "store")
    command = [sys.executable, ROOT / "deployment" / "serve.py", "--port", str(port), "--inbox", "inbox"]
    with subprocess.Popen(command, cwd=folder, env=clean_environment(folder), stdout=subprocess.PIPE) as process:
        try:
            assert b"version 1" in process.stdout.readline()
            address = f"http://127.0.0.1:{port}"
            with httpx.Client(base_url=address, transport=httpx.HTTPTransport(retries=9), timeout=60) as client:
                yield folder, client
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)
    assert process.returncode in {0, 130}


@contextlib.contextmanager
def open_page(address, **options):
    """Open the page; yield it and the errors of its script."""
    with prefect_ui.browser() as browser:
        page, faults = browser.new_page(**options), []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(address)
        page.get_by_text("Version 1, since").wait_for()
        yield page
        assert faults == []


def draw(page, digit):
    """Draw a digit on the empty paper; return the digit that the page shows."""
    page.get_by_role("button", name="Clear").click()
    box = page.locator("#paper").bounding_box()
    scale = box["width"] / 280
    for stroke in STROKES[digit]:
        points = [(box["x"] + x * scale, box["y"] + y * scale) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=4)
        with page.expect_response(lambda response: "/predict" in response.url):
            page.mouse.up()
    page.get_by_text("% sure").wait_for()
    return page.locator("#digit").inner_text()


def test_ten_drawn_digits_are_read_and_a_wrong_one_corrected(service):
    folder, client = service
    with open_page(str(client.base_url)) as page:
        assert {digit: draw(page, digit) for digit in STROKES} == {digit: str(digit) for digit in STROKES}
        page.get_by_role("button", name="4", exact=True).click()
        page.get_by_text("The next training gets it as a 4").wait_for()
    (correction,) = (folder / "inbox").rglob("*.png")
    assert correction.parent.name == "4"


def test_the_page_fits_a_phone_and_works_by_keyboard(service, tmp_path):
    _, client = service
    pixels = np.load(mnist.PATH)["x_test"][0]
    Image.fromarray(pixels).save(tmp_path / "seven.png")
    with open_page(str(client.base_url), viewport={"width": 360, "height": 640}, color_scheme="dark") as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "file"
        page.locator("#file").set_input_files(tmp_path / "seven.png")
        page.get_by_text("% sure").wait_for()
        assert page.locator("#digit").inner_text() == "7"


def test_the_manuals_request_is_answered(service, tmp_path):
    _, client = service
    Image.fromarray(np.load(mnist.PATH)["x_test"][0]).save(tmp_path / "seven.png")
    command = re.search(r"^curl .*/predict$", (ROOT / "docs" / "how-to" / "serve.md").read_text(), re.MULTILINE)[0]
    arguments = shlex.split(command.replace("http://127.0.0.1:8000", str(client.base_url).rstrip("/")))
    answer = json.loads(subprocess.run(arguments, cwd=tmp_path, capture_output=True, check=True).stdout)
    assert [prediction["label"] for prediction in answer["predictions"]] == [7]


def test_the_service_answers_as_the_predict_flow_does(service, run_flow):
    folder, client = service
    predicted = run_flow("predict", cwd=folder)
    assert predicted.returncode == 0, predicted.stderr
    body = io.BytesIO()
    np.save(body, np.load(mnist.PATH)["x_test"])
    answer = client.post("/predict", content=body.getvalue(), headers={"Content-Type": "application/x-npy"})
    rows, expected = pd.DataFrame(answer.json()["predictions"]), pd.read_csv(folder / "predictions.csv")
    columns = ["label", "second", "abstained", "unlike_training"]
    pd.testing.assert_frame_equal(rows[columns], expected[columns], check_dtype=False)
    np.testing.assert_allclose(rows["confidence"], expected["confidence"], atol=1e-6)
