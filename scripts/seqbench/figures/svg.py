"""SVG of a figure, small, with its values as titles; its colours fixed or those of the page."""
from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ET

from matplotlib import figure as mpl

from seqbench.figures.drawing import PALETTE

SVG, LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
FAMILY = "font-family:'DejaVu Sans',Verdana,Arial,sans-serif"
LEFT_OUT = {f"{SVG}{name}" for name in ("metadata", "style", "clipPath")}
MARKS = {f"{SVG}use", f"{SVG}path"}
COLOUR = {light: f"var(--{name})" for name, (light, _) in PALETTE.items()}


def shortened(text: str, decimals: int = 2) -> str:
    """Numbers with few decimals, and no space that CSS and paths do not need."""
    def number(match: re.Match) -> str:
        return f"{round(float(match[0]), decimals) + 0.0:g}"

    text = re.sub(r"-?\d+\.\d+", number, text)
    return re.sub(r"\s*([:;A-Za-z])\s+", r"\1", text).strip()


def restyled(style: str, is_themed: bool) -> str:
    """A style with the font of the whole picture, and with the page's colours."""
    style = re.sub(r"font: (?:(\d+) )?([\d.]+)px[^;]*",
                   lambda match: f"font-size: {match[2]}px"
                   + (f"; font-weight: {match[1]}" if match[1] else ""), style)
    style = shortened(style.replace("stroke-linejoin: miter", ""))
    if is_themed:
        style = re.sub(r"#[0-9a-f]{6}", lambda match: COLOUR.get(match[0], match[0]), style)
    return re.sub(";+", ";", style).strip(";")


def add_titles(group: ET.Element, titles: list[str]) -> None:
    """A title to each marker, or to the one path."""
    markers = list(group.iter(f"{SVG}use")) or list(group.iter(f"{SVG}path"))
    for marker, title in zip(markers, titles):
        ET.SubElement(marker, f"{SVG}title").text = title


def clean(element: ET.Element, prefix: str, is_themed: bool) -> None:
    """Leave out what the picture does not need; ids with a prefix of this picture."""
    name = element.attrib.pop("id", "")
    if name.startswith("["):
        add_titles(element, json.loads(name))
    elif name and element.tag == f"{SVG}path":
        element.set("id", prefix + name)
    element.attrib.pop("clip-path", None)
    if LINK in element.attrib:
        element.set("href", f"#{prefix}{element.attrib.pop(LINK)[1:]}")
    for key, value in element.attrib.items():
        if key == "style":
            element.set(key, restyled(value, is_themed))
        elif key not in ("id", "href"):
            element.set(key, shortened(value, 2 if "id" in element.attrib else 1))
    if re.match(r"rotate\(-?0 ", element.get("transform", "")):
        del element.attrib["transform"]
    children = []
    for child in element:
        if child.tag in LEFT_OUT:
            continue
        clean(child, prefix, is_themed)
        plain_group = child.tag in (f"{SVG}g", f"{SVG}defs") and not child.attrib
        if plain_group and (child.tag == f"{SVG}g" or not len(child)):
            children += list(child)
        else:
            children.append(child)
        child.tail = None
    element[:] = children
    if element.tag not in (f"{SVG}text", f"{SVG}title"):
        element.text = None


def markup(figure: mpl.Figure, label: str = "", prefix: str = "", is_themed: bool = False) -> str:
    """The picture as text: alone, or as a piece of a page that has its colours and fonts."""
    buffer = io.BytesIO()
    if is_themed:
        figure.patch.set_visible(False)
        for axes in figure.axes:
            axes.patch.set_visible(False)
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    root = ET.fromstring(buffer.getvalue())
    clean(root, prefix, is_themed)
    width, height = (float(root.get(key).removesuffix("pt")) for key in ("width", "height"))
    if is_themed:
        del root.attrib["width"], root.attrib["height"]
        root.set("class", "plot")
        if label:
            root.attrib |= {"role": "img", "aria-label": label, "tabindex": "0"}
        else:
            root.set("aria-hidden", "true")
            root.attrib |= {"width": f"{width:g}", "height": f"{height:g}", "class": "swatch"}
    else:
        root.set("style", FAMILY)
    ET.register_namespace("", SVG[1:-1])
    text = ET.tostring(root, encoding="unicode")
    return text.replace(f' xmlns="{SVG[1:-1]}"', "") if is_themed else text + "\n"
