package clusterfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"viplog/core/suggest"
)

// cursor stands at a field of a document, which need not exist. Its methods read the field as one type; what is there
// but of another type is reported, once, and then counts as absent.
type cursor struct {
	place
	out  *collector
	node *node // nil where the field is absent or null
	// lost is set below a value of the wrong type, where nothing can be found missing.
	lost bool
}

// value is what was read: set when something is written there, ok when it is also readable. The rules look at values
// that are ok only, so that no mistake is reported twice.
type value[T any] struct {
	place
	text string // as written
	v    T
	set  bool
	ok   bool
}

func (v value[T]) bad(format string, args ...any) finding { return v.invalid(v.text, format, args...) }

func (c cursor) report(f finding) {
	if !c.lost {
		c.out.fail(f.doc, f.err)
	}
}

func (c cursor) exists() bool { return c.node != nil }

func (c cursor) at(path *field.Path, n *node) cursor {
	if n != nil && n.kind == nullNode {
		n = nil
	}
	return cursor{place: place{c.doc, path}, out: c.out, node: n, lost: c.lost}
}

// field goes to a field of the map, whatever its type.
func (c cursor) field(name string) cursor {
	path := c.path.Child(name)
	if f := c.node.get(name); f != nil {
		return c.at(path, f.value)
	}
	return c.at(path, nil)
}

// object goes to a field that is a map.
func (c cursor) object(name string) cursor { return c.field(name).asMap() }

func (c cursor) asMap() cursor {
	if c.exists() && c.node.kind != mapNode {
		c.report(c.invalid(show(c.node), "must be a map of fields, not %s", describe(c.node)))
		c.node, c.lost = nil, true
	}
	return c
}

// list goes to the items of a field that is a list.
func (c cursor) list(name string) []cursor {
	l := c.field(name)
	if !l.exists() {
		return nil
	}
	if l.node.kind != listNode {
		l.report(l.invalid(show(l.node), "must be a list (each item on its own line after \"- \"), not %s", describe(l.node)))
		return nil
	}
	items := make([]cursor, len(l.node.items))
	for i, n := range l.node.items {
		items[i] = l.at(l.path.Index(i), n)
	}
	return items
}

// objects goes to the items of a list of maps.
func (c cursor) objects(name string) []cursor {
	items := c.list(name)
	for i := range items {
		if !items[i].exists() {
			items[i].report(items[i].required("an item of this list must not be empty"))
		}
		items[i] = items[i].asMap()
	}
	return slices.DeleteFunc(items, func(item cursor) bool { return !item.exists() })
}

// only reports every field of the map that is none of the known.
func (c cursor) only(known ...string) {
	if !c.exists() {
		return
	}
	for _, f := range c.node.fields {
		if !slices.Contains(known, f.name) {
			c.out.failAt(f.line, field.Forbidden(c.path.Child(plainName(f.name)), unknownField(f.name, known)))
		}
	}
}

// doubtful warns of a field that is a typing mistake away from a known one, where unknown fields are allowed.
func (c cursor) doubtful(known ...string) {
	if !c.exists() {
		return
	}
	for _, f := range c.node.fields {
		if slices.Contains(known, f.name) {
			continue
		}
		if close := suggest.Nearest(f.name, known); close != "" {
			c.out.warn(c.child(plainName(f.name)), fmt.Sprintf("is unknown and ignored; did you mean %q?", close))
		}
	}
}

// hint names a field of the map that was probably meant as the absent one.
func (c cursor) hint(name string) string {
	if !c.exists() {
		return ""
	}
	for _, f := range c.node.fields {
		if f.name != name && suggest.Nearest(f.name, []string{name}) != "" {
			return fmt.Sprintf("; the file has %s instead", quote(clip(f.name)))
		}
	}
	return ""
}

// plainName keeps a path on one line and without doubt: a key may be any text.
func plainName(name string) string {
	odd := strings.ContainsFunc(name, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && !strings.ContainsRune("-_/.", r)
	})
	if name == "" || odd || len(name) > maxShownRunes {
		return strconv.Quote(clip(name))
	}
	return name
}

// show is the value as a message quotes it.
func show(n *node) string {
	switch n.kind {
	case mapNode:
		return "{…}"
	case listNode:
		return "[…]"
	default:
		return n.text
	}
}

func describe(n *node) string {
	switch {
	case n.kind == mapNode:
		return "a map"
	case n.kind == listNode:
		return "a list"
	case n.tag == "!!int" || n.tag == "!!float":
		return "a number"
	case n.tag == "!!bool":
		return "true or false"
	case n.tag == "!!str":
		return "a string"
	default:
		return "a value with the tag " + clip(n.tag)
	}
}
