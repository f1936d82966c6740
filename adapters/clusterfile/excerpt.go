package clusterfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Excerpt is what viplog reads of a cluster file that Parse has taken, without comments: nothing of it is secret, while a whole file may
// hold, for instance, the secret of an OpenID Connect client, or an old one in a comment. A class that is not empty becomes the Settings' loadBalancerClass; where that is
// another one already the error is ErrClass.
func Excerpt(data []byte, class string) ([]byte, error) {
	var text bytes.Buffer
	out := yaml.NewEncoder(&text)
	out.SetIndent(2)
	hasSettings := false
	for in := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var doc yaml.Node
		err := in.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
			continue
		}
		root := doc.Content[0]
		switch textAt(root, "kind") {
		case kindCluster:
			keep(root, "apiVersion", "kind", "metadata", "spec")
			keep(valueAt(root, "metadata"), "name", "namespace")
			keep(valueAt(root, "spec"), "type", "profile", "clusterNetwork", "controlPlane", "loadBalancer")
			keep(valueAt(valueAt(root, "spec"), "controlPlane"), "loadBalancer", "nodePoolSpec")
		case kindNodePool:
			keep(root, "apiVersion", "kind", "metadata", "spec")
			keep(valueAt(root, "metadata"), "name", "namespace")
		case kindNamespace:
			keep(root, "apiVersion", "kind", "metadata")
			keep(valueAt(root, "metadata"), "name", "labels")
		case kindSettings:
			hasSettings = true
			if err := setClass(root, class); err != nil {
				return nil, err
			}
		default: // other people's, and the paths of keys at the top
			continue
		}
		dropComments(&doc)
		if err := out.Encode(&doc); err != nil {
			return nil, err
		}
	}
	if class != "" && !hasSettings {
		own := map[string]string{"apiVersion": apiVersionOwn, "kind": kindSettings, fieldClass: class}
		if err := out.Encode(own); err != nil {
			return nil, err
		}
	}
	return text.Bytes(), out.Close()
}

const fieldClass = "loadBalancerClass"

func setClass(settings *yaml.Node, class string) error {
	value := valueAt(settings, fieldClass)
	switch {
	case class == "" || value != nil && value.Value == class:
	case value == nil:
		settings.Content = append(settings.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: fieldClass}, &yaml.Node{Kind: yaml.ScalarNode, Value: class})
	case value.Value == "":
		*value = yaml.Node{Kind: yaml.ScalarNode, Value: class}
	default:
		return fmt.Errorf("%w: line %d has %q, not %q", ErrClass, value.Line, value.Value, class)
	}
	return nil
}

func dropComments(n *yaml.Node) {
	n.HeadComment, n.LineComment, n.FootComment = "", "", ""
	for _, below := range n.Content {
		dropComments(below)
	}
}

// keep takes all other fields out of a map.
func keep(m *yaml.Node, names ...string) {
	if m == nil || m.Kind != yaml.MappingNode {
		return
	}
	var kept []*yaml.Node
	for i := 0; i+1 < len(m.Content); i += 2 {
		if slices.Contains(names, m.Content[i].Value) {
			kept = append(kept, m.Content[i], m.Content[i+1])
		}
	}
	m.Content = kept
}

func valueAt(m *yaml.Node, name string) *yaml.Node {
	if m == nil || m.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == name {
			return m.Content[i+1]
		}
	}
	return nil
}

func textAt(m *yaml.Node, name string) string {
	if v := valueAt(m, name); v != nil {
		return v.Value
	}
	return ""
}

// ErrClass says that a file has chosen another class already.
var ErrClass = errors.New("clusterfile: the Settings document has another loadBalancerClass")
