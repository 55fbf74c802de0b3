"""What lies under an action's point or has the focus, for the guard and the record; a policy never sees it.

Call ``inspect(elements, action, frame)`` with the current tab's ``Elements(page, session)``, before the action is
done. One hit test, whatever the page's size; through frames and shadow roots; in an isolated world.
"""

from typing import TYPE_CHECKING, Any

from foveate.actions.geometry import Frame, points_of
from foveate.actions.guard import Limits, Target
from foveate.actions.schema import KEYBOARD_KINDS, POINTER_KINDS, Action

if TYPE_CHECKING:
    from foveate.envs.elements import Element, Elements

NAME_LENGTH = 200
"""Characters of a name that are kept."""

_ADDRESS_LENGTH = 2_000

_AT_KINDS = POINTER_KINDS | {"select_option", "upload"}

# Bounded everywhere: at most 12 ancestors, 200 nodes of text. Attributes are read through the prototype, because a
# form's own properties can be hidden by the names of its fields.
_DESCRIBE = """function (most) {
  const attribute = (el, name) => Element.prototype.getAttribute.call(el, name);
  const tag = (el) => Object.getOwnPropertyDescriptor(Element.prototype, "localName").get.call(el);
  const parent = (node) => {
    const up = Object.getOwnPropertyDescriptor(Node.prototype, "parentNode").get.call(node);
    return up instanceof ShadowRoot ? up.host : up instanceof Element ? up : null;
  };
  const acts = (el) => ["button", "input", "select", "textarea", "summary", "option"].includes(tag(el)) ||
    (tag(el) === "a" && attribute(el, "href") !== null) || attribute(el, "role") !== null ||
    ["", "true", "plaintext-only"].includes(attribute(el, "contenteditable"));
  const first = this instanceof Element ? this : parent(this);
  if (!first) return null;
  let el = first;
  for (let up = first, depth = 0; up && depth < 12; up = parent(up), depth++) {
    if (acts(up)) { el = up; break; }
    if (tag(up) === "label" && up.control) { el = up.control; break; }
  }
  const text = (root) => {
    const walker = Document.prototype.createTreeWalker.call(document, root, NodeFilter.SHOW_TEXT);
    let found = "";
    for (let count = 0; count < 200 && found.length <= most && walker.nextNode(); count++) {
      const before = walker.currentNode.parentNode;
      if (before && ["script", "style"].includes(before.localName)) continue;
      found += " " + walker.currentNode.data.slice(0, 4 * most);
      found = found.replace(/\\s+/g, " ");
    }
    return found.trim();
  };
  const type = el instanceof HTMLInputElement ? el.type : null;
  const implicit = {
    a: "link", button: "button", select: "combobox", textarea: "textbox", summary: "button", img: "image",
    h1: "heading", h2: "heading", h3: "heading", h4: "heading", li: "listitem", option: "option", nav: "navigation",
  };
  const inputs = {
    button: "button", submit: "button", reset: "button", image: "button", checkbox: "checkbox", radio: "radio",
    range: "slider", number: "spinbutton", search: "searchbox",
  };
  const editable = attribute(el, "contenteditable");
  let role = (attribute(el, "role") || "").trim().split(/\\s+/)[0];
  if (!role && el instanceof HTMLSelectElement) role = el.multiple || el.size > 1 ? "listbox" : "combobox";
  if (!role && type !== null) role = inputs[type] || "textbox";
  if (!role && editable !== null && editable !== "false") role = "textbox";
  if (!role) role = implicit[tag(el)] || tag(el);
  const named = () => {
    const scope = el.getRootNode();
    const ids = (attribute(el, "aria-labelledby") || "").split(/\\s+/).filter(Boolean).slice(0, 4);
    const kind = scope instanceof ShadowRoot ? DocumentFragment.prototype : Document.prototype;
    const by = ids.map((id) => kind.getElementById.call(scope, id)).filter(Boolean).map(text).join(" ");
    if (by) return by;
    const own = attribute(el, "aria-label");
    if (own) return own;
    if (["button", "submit", "reset"].includes(type)) {
      return el.value || { submit: "Submit", reset: "Reset" }[type] || "";
    }
    const labelled = el instanceof HTMLInputElement || el instanceof HTMLSelectElement ||
      el instanceof HTMLTextAreaElement;
    if (labelled) {
      const label = el.labels && el.labels[0];
      return (label && text(label)) || attribute(el, "alt") || attribute(el, "placeholder") ||
        attribute(el, "title") || attribute(el, "name") || "";
    }
    return attribute(el, "alt") || text(el) || attribute(el, "title") || "";
  };
  const form = "form" in el && el.form instanceof HTMLFormElement ? el.form : null;
  let address = null;
  const long = most + 1800;
  if (form) {
    const base = Object.getOwnPropertyDescriptor(Node.prototype, "baseURI").get.call(document);
    const given = attribute(el, "formaction") || attribute(form, "action") || location.href;
    try { address = new URL(given, base).href.slice(0, long); } catch { address = given.slice(0, long); }
  }
  return { role: role.slice(0, 100), name: named().replace(/\\s+/g, " ").trim().slice(0, most), type, address,
           origin: self.origin };
}"""


async def inspect(
    elements: "Elements",
    action: Action,
    frame: Frame,
    cursor: tuple[float, float] | None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Target | None:
    """Tell what an action would act on.

    Args:
        elements: Of the current page.
        action: Its points are of ``frame``; of a path the first counts.
        frame: The Env's own last Frame.
        cursor: Where the pointer is, in CSS pixels, for actions without a point.
        limits: Hold the secrets whose values are replaced in what is told.

    Returns:
        The target; None for actions on no element, and where the page does not answer in time.
    """
    place: tuple[float, float] | None = None
    if action.kind in _AT_KINDS:
        points = points_of(action)
        place = frame.to_input(points[0]) if points else cursor
        if place is None:
            return None
    elif action.kind not in KEYBOARD_KINDS:
        return None
    async with elements.borrow(place) as element:
        return None if element is None else await describe(element, limits)


async def describe(element: "Element", limits: Limits = Limits()) -> Target | None:  # noqa: B008 - frozen
    """Describe one element, or the control that it is part of; None where its page went away."""
    from playwright.async_api import Error

    try:
        found: Any = await element.call(_DESCRIBE, NAME_LENGTH + limits.reach)  # what is cut must hold whole values
    except (Error, TimeoutError):
        return None
    if found is None:
        return None
    mask, address = limits.mask_secrets, found["address"]
    return Target(
        role=mask(found["role"]) or None,
        name=mask(found["name"])[:NAME_LENGTH] or None,
        input_type=found["type"],
        form_address=None if address is None else mask(address)[:_ADDRESS_LENGTH],
        origin=mask(found["origin"]),
    )
