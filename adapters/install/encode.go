package install

import (
	"bytes"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// YAML is one document for each object.
func YAML(objects []runtime.Object) ([]byte, error) {
	var text bytes.Buffer
	for _, object := range objects {
		fields, err := fieldsOf(object)
		if err != nil {
			return nil, err
		}
		data, err := yaml.Marshal(fields)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&text, "---\n%s", data)
	}
	return text.Bytes(), nil
}

// JSON is one list.
func JSON(objects []runtime.Object) ([]byte, error) {
	list := map[string]any{"apiVersion": "v1", "kind": "List"}
	items := []any{}
	for _, object := range objects {
		fields, err := fieldsOf(object)
		if err != nil {
			return nil, err
		}
		items = append(items, fields)
	}
	list["items"] = items
	data, err := json.MarshalIndent(list, "", "  ")
	return append(data, '\n'), err
}

// fieldsOf leaves the status out, which is the API server's to say.
func fieldsOf(object runtime.Object) (map[string]any, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	delete(fields, "status")
	if template, ok := nested(fields, "spec", "template"); ok {
		delete(template, "status")
		if m, ok := nested(template, "metadata"); ok && m["creationTimestamp"] == nil {
			delete(m, "creationTimestamp")
		}
	}
	if m, ok := nested(fields, "metadata"); ok && m["creationTimestamp"] == nil {
		delete(m, "creationTimestamp")
	}
	return fields, err
}

func nested(fields map[string]any, names ...string) (map[string]any, bool) {
	for _, name := range names {
		next, ok := fields[name].(map[string]any)
		if !ok {
			return nil, false
		}
		fields = next
	}
	return fields, true
}
