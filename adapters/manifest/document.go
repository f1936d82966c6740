package manifest

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	yamlnode "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

// document is one document of a file: its JSON, which is decoded, and its nodes, which know their lines.
type document struct {
	file  string
	base  int // lines of the file before the document's text
	first int // the line of the document's first content
	json  []byte
	root  *yamlnode.Node // nil where the text is JSON that the YAML parser does not take
}

// chunk is a document's text.
type chunk struct {
	base int
	text []byte
	json bool
}

// split cuts a file into documents. JSON values may follow one another without separators, as in what `kubectl get -o
// json` prints.
func split(data []byte) []chunk {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '{' {
		if chunks, ok := splitJSON(data); ok {
			return chunks
		}
	}
	return splitYAML(data)
}

func splitJSON(data []byte) (chunks []chunk, ok bool) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	lines, counted := 0, 0 // lines before data[counted]
	for decoder.More() {
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, false
		}
		start := int(decoder.InputOffset()) - len(value)
		lines += bytes.Count(data[counted:start], []byte("\n"))
		counted = start
		chunks = append(chunks, chunk{base: lines, text: value, json: true})
		if len(chunks) > MaxDocuments {
			return chunks, true
		}
	}
	return chunks, len(bytes.TrimSpace(data[decoder.InputOffset():])) == 0
}

// splitYAML cuts before each line that begins with "---" and after each "...". YAML lets neither stand at the start of
// a line inside a document, so the text alone decides.
func splitYAML(data []byte) (chunks []chunk) {
	begin, base, line := 0, 0, 0
	directives := true // nothing but directives, comments and blank lines since begin
	cut := func(end, nextLine int) {
		chunks = append(chunks, chunk{base: base, text: data[begin:end]})
		begin, base, directives = end, nextLine, true
	}
	for at := 0; at < len(data) && len(chunks) <= MaxDocuments; line++ {
		end := len(data)
		if i := bytes.IndexByte(data[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		text := bytes.TrimRight(data[at:end], " \t\r\n")
		switch {
		case marks(text, "---"):
			if at > begin && !directives {
				cut(at, line)
			}
			directives = false
		case marks(text, "..."):
			cut(end, line+1)
		case len(text) > 0 && text[0] != '#' && text[0] != '%':
			directives = false
		}
		at = end
	}
	if begin < len(data) {
		cut(len(data), line)
	}
	return chunks
}

func marks(line []byte, mark string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(mark))
	return ok && (len(rest) == 0 || rest[0] == ' ' || rest[0] == '\t')
}

// parse turns a document's text into JSON and nodes. It gives no document where the text is empty or broken.
func (r *reader) parse(name string, c chunk) (document, bool) {
	doc := document{file: name, base: c.base, json: c.text}
	doc.first = c.base + firstContent(c.text)
	if !c.json {
		converted, err := yaml.YAMLToJSONStrict(c.text)
		if err != nil {
			r.syntax(doc, err)
			return document{}, false
		}
		doc.json = converted
	}
	var node yamlnode.Node
	if err := yamlnode.Unmarshal(c.text, &node); err == nil && len(node.Content) == 1 {
		doc.root = node.Content[0]
		doc.first = c.base + doc.root.Line
	}
	return doc, string(bytes.TrimSpace(doc.json)) != "null"
}

var lineOfError = regexp.MustCompile(`^\s*(?:yaml: )?line (\d+): (.*)$`)

// syntax reports a parser's error, which may hold several lines, each with a line number within the document.
func (r *reader) syntax(doc document, err error) {
	reported := false
	for text := range strings.SplitSeq(err.Error(), "\n") {
		if parts := lineOfError.FindStringSubmatch(text); parts != nil {
			line, _ := strconv.Atoi(parts[1])
			r.problem(doc.file, doc.base+line, "not valid YAML: "+parts[2])
			reported = true
		}
	}
	if !reported {
		r.problem(doc.file, doc.first, "not valid YAML: "+strings.TrimPrefix(err.Error(), "yaml: "))
	}
}

// firstContent is the number, from 1, of the first line that holds more than a comment or a separator.
func firstContent(text []byte) int {
	number := 1
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' && line[0] != '%' && string(line) != "---" {
			return number
		}
		number++
	}
	return 1
}

var pathToken = regexp.MustCompile(`[^.\[\]]+|\[[^\]]*\]`)

// line is where a field stands ("spec.ports[1].port"), or the innermost thing around it that is there.
func (d document) line(path string) int {
	node, line := d.root, d.first
	for _, token := range pathToken.FindAllString(path, -1) {
		key := strings.Trim(token, "[]")
		node = resolve(node)
		switch {
		case node == nil:
			return line
		case node.Kind == yamlnode.SequenceNode:
			index, err := strconv.Atoi(key)
			if err != nil || index < 0 || index >= len(node.Content) {
				return line
			}
			node = node.Content[index]
			line = d.base + node.Line
		case node.Kind == yamlnode.MappingNode:
			at := keyOf(node, key)
			if at < 0 {
				return line
			}
			line, node = d.base+node.Content[at].Line, node.Content[at+1]
		default:
			return line
		}
	}
	return line
}

// keyOf is the index of a key in a mapping's content, -1 if it is not there. The last one counts, as for JSON.
func keyOf(mapping *yamlnode.Node, key string) int {
	found := -1
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			found = i
		}
	}
	return found
}

// child is an element of a sequence, nil if there is none.
func child(node *yamlnode.Node, index int) *yamlnode.Node {
	node = resolve(node)
	if node == nil || node.Kind != yamlnode.SequenceNode || index >= len(node.Content) {
		return nil
	}
	return node.Content[index]
}

func resolve(node *yamlnode.Node) *yamlnode.Node {
	for node != nil && node.Kind == yamlnode.AliasNode {
		node = node.Alias
	}
	return node
}
