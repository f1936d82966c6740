package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	yamlnode "go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// reader gathers what one Read finds.
type reader struct {
	manifests Manifests
	problems  Problems
	read      map[string]bool // paths
	places    map[string]string
	ignored   map[string]int // index in manifests.Ignored
	count     int            // documents and items of lists
}

func newReader() *reader {
	return &reader{read: map[string]bool{}, places: map[string]string{}, ignored: map[string]int{}}
}

// object is a document, or an item of a List in it.
type object struct {
	document
	path *field.Path // within the document; nil for the document itself
	node *yamlnode.Node
	json []byte
}

// list is a v1 List whose items are not looked at yet.
type list struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        metav1.ListMeta   `json:"metadata"`
	Items           []json.RawMessage `json:"items"`
}

func (r *reader) documents(name string, data []byte) {
	for _, c := range split(data) {
		if !r.more(name, c.base+1) {
			return
		}
		if doc, ok := r.parse(name, c); ok {
			r.object(object{document: doc, node: doc.root, json: doc.json})
		}
	}
}

// more counts one more document and is false past the limit.
func (r *reader) more(name string, line int) bool {
	r.count++
	if r.count == MaxDocuments+1 {
		r.problem(name, line, fmt.Sprintf("more than %d documents", MaxDocuments))
	}
	return r.count <= MaxDocuments
}

func (r *reader) object(o object) {
	var kind metav1.TypeMeta
	if trimmed := bytes.TrimSpace(o.json); len(trimmed) == 0 || trimmed[0] != '{' {
		r.problem(o.file, o.line(o.path.String()), "not a Kubernetes object: a mapping with apiVersion and kind is required")
		return
	}
	// An error here is one that the strict decoding names better; what is left of the kind decides.
	_ = json.Unmarshal(o.json, &kind)
	switch {
	case kind.Kind == "" || kind.APIVersion == "":
		if kind.APIVersion == "" {
			r.report(o, field.Required(o.path.Child("apiVersion"), ""))
		}
		if kind.Kind == "" {
			r.report(o, field.Required(o.path.Child("kind"), ""))
		}
	case kind.APIVersion == "v1" && kind.Kind == "List":
		r.list(o)
	case kind.APIVersion == corev1.SchemeGroupVersion.String() && kind.Kind == "Service":
		r.service(o)
	case kind.APIVersion == discoveryv1.SchemeGroupVersion.String() && kind.Kind == "EndpointSlice":
		r.endpointSlice(o)
	default:
		r.ignore(kind.APIVersion + " " + kind.Kind)
	}
}

func (r *reader) list(o object) {
	var l list
	if !r.decode(o, &l) {
		return
	}
	path := o.path.Child("items")
	for i, item := range l.Items {
		at := path.Index(i)
		if !r.more(o.file, o.line(at.String())) {
			return
		}
		r.object(object{document: o.document, path: at, node: child(valueOf(o.node, "items"), i), json: item})
	}
}

func valueOf(node *yamlnode.Node, key string) *yamlnode.Node {
	node = resolve(node)
	if node == nil || node.Kind != yamlnode.MappingNode {
		return nil
	}
	if at := keyOf(node, key); at >= 0 {
		return node.Content[at+1]
	}
	return nil
}

// decode fills into, strictly, and is false where a value has the wrong type, so that its meaning cannot be judged.
// An unknown field is reported and the rest is still judged.
func (r *reader) decode(o object, into any) bool {
	s := shape{}
	s.check(o.node, reflect.TypeOf(into), o.path)
	for _, found := range s.found {
		r.problem(o.file, o.base+found.line, found.message)
	}
	decoder := json.NewDecoder(bytes.NewReader(o.json))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil || len(s.found) > 0 {
		return !s.mistyped
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		path := o.path
		if wrong.Field != "" {
			path = path.Child(wrong.Field)
		}
		r.problem(o.file, o.line(path.String()),
			fmt.Sprintf("%s: Invalid value: %s: must be %s", path, wrong.Value, typeName(wrong.Type)))
		return false
	}
	r.problem(o.file, o.line(o.path.String()), err.Error())
	return false
}

func (r *reader) problem(file string, line int, message string) {
	r.problems = append(r.problems, Problem{File: file, Line: line, Message: message})
}

// report gives a field's error the line of the field.
func (r *reader) report(o object, err *field.Error) {
	r.problem(o.file, o.line(err.Field), err.Error())
}

func (r *reader) ignore(kind string) {
	at, seen := r.ignored[kind]
	if !seen {
		at = len(r.manifests.Ignored)
		r.ignored[kind] = at
		r.manifests.Ignored = append(r.manifests.Ignored, Ignored{Kind: kind})
	}
	r.manifests.Ignored[at].Count++
}

// unique reports an object that was given before, with both places.
func (r *reader) unique(o object, kind, namespace, name string) {
	if name == "" { // reported already
		return
	}
	key := kind + " " + namespace + "/" + name
	path := o.path.Child("metadata", "name")
	if other, seen := r.places[key]; seen {
		err := field.Duplicate(path, namespace+"/"+name)
		err.Detail = fmt.Sprintf("this %s is already at %s", kind, other)
		r.report(o, err)
		return
	}
	r.places[key] = fmt.Sprintf("%s:%d", o.file, o.line(path.String()))
}
