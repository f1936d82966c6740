package clusterfile

import (
	"strconv"
	"strings"
)

// lineOf gives the line of the field with this path (the form of field.Path: a.b[0].c[key]), or of the nearest parent
// that the document has.
func (d *document) lineOf(path string) int {
	line, _ := d.find(path)
	return line
}

// find also says how many steps of the path exist.
func (d *document) find(path string) (line, steps int) {
	at := d.root
	line = at.line
	for _, step := range splitPath(path) {
		next, nextLine := at.step(step)
		if next == nil {
			break
		}
		at, line = next, nextLine
		steps++
	}
	return line, steps
}

// step takes a name into a map, or an index into a list.
func (n *node) step(name string) (*node, int) {
	if n.kind == listNode {
		i, err := strconv.Atoi(name)
		if err != nil || i < 0 || i >= len(n.items) {
			return nil, 0
		}
		return n.items[i], n.items[i].line
	}
	if f := n.get(name); f != nil {
		return f.value, f.line
	}
	return nil, 0
}

// splitPath takes what stands in brackets as it is: a label's key has dots.
func splitPath(path string) []string {
	var steps []string
	for path != "" {
		if strings.HasPrefix(path, "[") {
			inside, rest, _ := strings.Cut(path[1:], "]")
			steps = append(steps, inside)
			path = strings.TrimPrefix(rest, ".")
			continue
		}
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			return append(steps, path)
		}
		steps = append(steps, path[:end])
		path = strings.TrimPrefix(path[end:], ".")
	}
	return steps
}
