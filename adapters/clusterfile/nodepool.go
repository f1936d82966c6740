package clusterfile

import "k8s.io/apimachinery/pkg/util/validation"

// nodePoolSpec is what viplog reads of a NodePool document: workers announce nothing, but their addresses must collide
// with nothing either.
type nodePoolSpec struct {
	place
	name, namespace, clusterName value[string]
	nodes                        []declaredNode
}

func readNodePool(c cursor) nodePoolSpec {
	meta, spec := c.object("metadata"), c.object("spec")
	p := nodePoolSpec{
		place:       c.place,
		name:        meta.field("name").checked(validation.IsDNS1123Subdomain),
		namespace:   meta.field("namespace").checked(validation.IsDNS1123Label),
		clusterName: spec.field("clusterName").str(),
	}
	if !p.name.set {
		meta.report(p.name.required("the node pool's name%s", meta.hint("name")))
	}
	if !p.clusterName.set {
		spec.report(p.clusterName.required("the name of the Cluster that the nodes belong to%s", spec.hint("clusterName")))
	}
	p.nodes = readNodes(spec, false)
	return p
}

// readNamespace gives the name, to hold the Cluster's against.
func readNamespace(c cursor) value[string] {
	meta := c.object("metadata")
	name := meta.field("name").checked(validation.IsDNS1123Label)
	if !name.set {
		meta.report(name.required("the namespace's name"))
	}
	return name
}
