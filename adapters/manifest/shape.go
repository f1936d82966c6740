package manifest

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	yamlnode "go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// shape compares a document's nodes with the Go type that it is decoded into. The JSON decoder stops telling after the
// first unknown field, does not say where it is, and takes names in the wrong case; the API server does none of that.
type shape struct {
	found    []shapeError
	mistyped bool
}

type shapeError struct {
	line    int // within the document's text
	message string
}

func (s *shape) check(node *yamlnode.Node, t reflect.Type, path *field.Path) {
	node = resolve(node)
	if node == nil || node.ShortTag() == "!!null" {
		return
	}
	for t.Kind() == reflect.Pointer && !decodesItself(t) {
		t = t.Elem()
	}
	if decodesItself(t) || decodesItself(reflect.PointerTo(t)) {
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		if s.is(node, yamlnode.MappingNode, t, path) {
			s.checkStruct(node, t, path)
		}
	case reflect.Map:
		if s.is(node, yamlnode.MappingNode, t, path) {
			for i := 0; i+1 < len(node.Content); i += 2 {
				if key := node.Content[i]; key.ShortTag() != mergeTag {
					s.check(node.Content[i+1], t.Elem(), path.Key(key.Value))
				}
			}
		}
	case reflect.Slice:
		if s.is(node, yamlnode.SequenceNode, t, path) {
			for i, element := range node.Content {
				s.check(element, t.Elem(), path.Index(i))
			}
		}
	default:
		s.checkScalar(node, t, path)
	}
}

const mergeTag = "!!merge" // "<<"

func (s *shape) checkStruct(node *yamlnode.Node, t reflect.Type, path *field.Path) {
	fields := map[string]reflect.Type{}
	fieldsOf(t, fields)
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		if key.ShortTag() == mergeTag {
			if merged := resolve(node.Content[i+1]); merged.Kind == yamlnode.MappingNode {
				s.checkStruct(merged, t, path)
			}
			continue
		}
		at := path.Child(key.Value)
		known, ok := fields[key.Value]
		switch {
		case !ok:
			s.add(key, fmt.Sprintf("unknown field %q", at))
		case seen[key.Value]: // only JSON comes here: the YAML parser refuses it
			s.add(key, fmt.Sprintf("duplicate field %q", at))
		default:
			seen[key.Value] = true
			s.check(node.Content[i+1], known, at)
		}
	}
}

func (s *shape) checkScalar(node *yamlnode.Node, t reflect.Type, path *field.Path) {
	if !s.is(node, yamlnode.ScalarNode, t, path) {
		return
	}
	tag, wrong := node.ShortTag(), false
	switch t.Kind() {
	case reflect.String:
		wrong = tag == "!!int" || tag == "!!float" || tag == "!!bool"
	case reflect.Int, reflect.Int32, reflect.Int64:
		wrong = tag != "!!int"
	case reflect.Bool:
		wrong = tag == "!!int" || tag == "!!float"
	}
	if wrong {
		s.mistype(node, t, path, node.Value)
	}
}

func (s *shape) is(node *yamlnode.Node, kind yamlnode.Kind, t reflect.Type, path *field.Path) bool {
	if node.Kind == kind {
		return true
	}
	value := node.Value
	switch node.Kind {
	case yamlnode.MappingNode:
		value = "a mapping"
	case yamlnode.SequenceNode:
		value = "a list"
	}
	s.mistype(node, t, path, value)
	return false
}

func (s *shape) mistype(node *yamlnode.Node, t reflect.Type, path *field.Path, value string) {
	s.mistyped = true
	s.add(node, field.TypeInvalid(path, value, "must be "+typeName(t)).Error())
}

func (s *shape) add(node *yamlnode.Node, message string) {
	s.found = append(s.found, shapeError{line: node.Line, message: message})
}

// typeName says what is right in YAML's words.
func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string: put quotes around it"
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint16, reflect.Uint32:
		return "a whole number without quotes"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	default:
		return "a mapping"
	}
}

var (
	jsonType = reflect.TypeFor[json.Unmarshaler]()
	textType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func decodesItself(t reflect.Type) bool { return t.Implements(jsonType) || t.Implements(textType) }

// fieldsOf collects a struct's JSON names, those of inlined structs with them.
func fieldsOf(t reflect.Type, fields map[string]reflect.Type) {
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case name == "" && f.Anonymous:
			fieldsOf(f.Type, fields)
		case name != "":
			fields[name] = f.Type
		}
	}
}
