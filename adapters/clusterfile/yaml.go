package clusterfile

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	// maxFileBytes is far above any real cluster file (128 nodes fit in 10 KiB) and keeps a wrong file cheap.
	maxFileBytes = 1 << 20
	// maxNodes bounds what aliases may expand to: ten nested lists of ten aliases are ten thousand million values.
	maxNodes = 200_000
	// maxDepth keeps every recursion over a tree short.
	maxDepth = 200
)

type nodeKind int

const (
	nullNode nodeKind = iota
	scalarNode
	mapNode
	listNode
)

// node is a YAML value without aliases, merge keys and styles.
type node struct {
	kind   nodeKind
	line   int
	tag    string // short form: !!str, !!int, …
	text   string // of a scalar
	fields []mapField
	items  []*node
}

// mapField is one entry of a map. line is the key's: a list's own first line is often the one below.
type mapField struct {
	name  string
	line  int
	value *node
}

// get is total: what is absent, or not in a map, is nil.
func (n *node) get(name string) *mapField {
	if n == nil || n.kind != mapNode {
		return nil
	}
	for i := range n.fields {
		if n.fields[i].name == name {
			return &n.fields[i]
		}
	}
	return nil
}

// document is one of the file's YAML documents that is not empty.
type document struct {
	number int // from 1, as a reader counts them
	root   *node
}

// readDocuments reports what is wrong with the file as YAML and returns the documents that can be read nevertheless.
func readDocuments(data []byte, out *collector) []*document {
	if len(data) > maxFileBytes {
		out.failFile(1, "the file has %d bytes, at most %d are allowed", len(data), maxFileBytes)
		return nil
	}
	if !utf8.Valid(data) {
		out.failFile(lineOfInvalidUTF8(data), "the file is not UTF-8 text")
		return nil
	}
	expand := &expander{out: out, left: maxNodes, open: map[*yaml.Node]bool{}}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var docs []*document
	for number := 1; ; number++ {
		var content yaml.Node
		err := decoder.Decode(&content)
		if errors.Is(err, io.EOF) {
			return docs
		}
		if err != nil {
			line, text := syntaxError(data, err)
			out.failFile(line, "not valid YAML: %s", text)
			return docs
		}
		if content.Kind != yaml.DocumentNode || len(content.Content) != 1 {
			continue
		}
		root := expand.value(content.Content[0], 0)
		if root.kind != nullNode {
			docs = append(docs, &document{number: number, root: root})
		}
		if expand.exhausted { // half a document would only look full of holes
			return nil
		}
	}
}

// expander makes nodes of yaml.Nodes. What an alias stands for keeps the lines where it was written; the alias itself
// has its own.
type expander struct {
	out       *collector
	left      int
	exhausted bool
	open      map[*yaml.Node]bool // anchors that are being expanded: an alias to one of them never ends
}

func (e *expander) value(n *yaml.Node, depth int) *node {
	null := &node{kind: nullNode, line: n.Line}
	if e.exhausted {
		return null
	}
	if e.left--; e.left < 0 || depth > maxDepth {
		e.exhausted = true
		if depth > maxDepth {
			e.out.failFile(n.Line, "values are nested deeper than %d levels", maxDepth)
		} else {
			e.out.failFile(n.Line, "the file has more than %d values once its aliases are expanded", maxNodes)
		}
		return null
	}
	switch n.Kind {
	case yaml.AliasNode:
		if e.open[n.Alias] {
			e.out.failFile(n.Line, "alias *%s stands inside its own anchor", clip(n.Value))
			return null
		}
		target := e.value(n.Alias, depth+1)
		here := *target
		here.line = n.Line
		return &here
	case yaml.ScalarNode:
		if n.ShortTag() == "!!null" {
			return null
		}
		return &node{kind: scalarNode, line: n.Line, tag: n.ShortTag(), text: n.Value}
	case yaml.SequenceNode:
		e.open[n] = true
		defer delete(e.open, n)
		list := &node{kind: listNode, line: n.Line, tag: n.ShortTag()}
		for _, item := range n.Content {
			list.items = append(list.items, e.value(item, depth+1))
		}
		return list
	case yaml.MappingNode:
		e.open[n] = true
		defer delete(e.open, n)
		return e.mapping(n, depth)
	default:
		return null
	}
}

// mapping refuses a key that occurs twice, of which most parsers keep the last in silence. Merge keys fill in what is
// not written in the map itself.
func (e *expander) mapping(n *yaml.Node, depth int) *node {
	result := &node{kind: mapNode, line: n.Line, tag: n.ShortTag()}
	var merged []*node
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.ShortTag() == "!!merge" {
			merged = append(merged, e.mergeSources(e.value(n.Content[i+1], depth+1))...)
			continue
		}
		name := e.value(key, depth+1)
		if e.exhausted {
			return result
		}
		if name.kind != scalarNode {
			e.out.failFile(key.Line, "a key must be a plain name")
			continue
		}
		if first, again := lines[name.text]; again {
			e.out.failFile(key.Line, "key %q occurs twice in one map; the first is in line %d", clip(name.text), first)
			continue
		}
		lines[name.text] = key.Line
		result.fields = append(result.fields, mapField{name.text, key.Line, e.value(n.Content[i+1], depth+1)})
	}
	for _, source := range merged {
		for _, f := range source.fields {
			if _, own := lines[f.name]; !own {
				lines[f.name] = f.line
				result.fields = append(result.fields, f)
			}
		}
	}
	return result
}

func (e *expander) mergeSources(n *node) []*node {
	switch n.kind {
	case nullNode: // reported where it came about
		return nil
	case mapNode:
		return []*node{n}
	case listNode:
		var sources []*node
		for _, item := range n.items {
			if item.kind != mapNode {
				e.out.failFile(item.line, "a merge key (<<) takes a map, or a list of maps")
				continue
			}
			sources = append(sources, item)
		}
		return sources
	default:
		e.out.failFile(n.line, "a merge key (<<) takes a map, or a list of maps")
		return nil
	}
}

var (
	syntaxLine    = regexp.MustCompile(`^yaml: line (\d+): `)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// syntaxError takes the line out of the parser's message, or finds it where the message has none.
func syntaxError(data []byte, err error) (int, string) {
	message := err.Error()
	if m := syntaxLine.FindStringSubmatch(message); m != nil {
		line, _ := strconv.Atoi(m[1])
		return max(line, 1), message[len(m[0]):]
	}
	message = strings.TrimPrefix(message, "yaml: ")
	if m := unknownAnchor.FindStringSubmatch(message); m != nil {
		if line := lineOfAlias(data, m[1]); line > 0 {
			return line, "alias *" + m[1] + " has no anchor &" + m[1] + " before it"
		}
	}
	return lineOfControlCharacter(data), message
}

// lineOfAlias finds the first use of an alias that is not in a comment line.
func lineOfAlias(data []byte, name string) int {
	number := 0
	for line := range bytes.Lines(data) {
		number++
		if !bytes.HasPrefix(bytes.TrimSpace(line), []byte("#")) && bytes.Contains(line, []byte("*"+name)) {
			return number
		}
	}
	return 0
}

func lineAt(data []byte, offset int) int { return 1 + bytes.Count(data[:offset], []byte("\n")) }

func lineOfInvalidUTF8(data []byte) int {
	for offset := 0; offset < len(data); {
		r, size := utf8.DecodeRune(data[offset:])
		if r == utf8.RuneError && size <= 1 {
			return lineAt(data, offset)
		}
		offset += size
	}
	return 1
}

// lineOfControlCharacter helps where the parser refuses a character without saying where it is.
func lineOfControlCharacter(data []byte) int {
	at := bytes.IndexFunc(data, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r >= 0x7f && r < 0xa0 && r != 0x85
	})
	if at < 0 {
		return 1
	}
	return lineAt(data, at)
}
