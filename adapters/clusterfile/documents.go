package clusterfile

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"viplog/core/suggest"
)

const (
	groupGDCV       = "baremetal.cluster.gke.io"
	apiVersionGDCV  = groupGDCV + "/v1"
	groupOwn        = "viplog"
	apiVersionOwn   = groupOwn + "/v1"
	kindCluster     = "Cluster"
	kindNodePool    = "NodePool"
	kindNamespace   = "Namespace"
	kindSettings    = "Settings"
	wantedDocument  = "a document with apiVersion " + apiVersionGDCV + " and kind " + kindCluster + " is required"
	headerDocuments = "only the credentials document at the top has neither apiVersion nor kind"
)

// sortDocuments reads each document by its kind. What is not ours, such as a NetworkGatewayGroup, is passed over.
// Where the file is unreadable in part, a missing document is no finding.
func sortDocuments(docs []*document, out *collector, unreadable bool) *config {
	c := &config{}
	first := map[string]int{}
	for i, d := range docs {
		root := cursor{place: place{doc: d}, out: out, node: d.root}
		if d.root.kind != mapNode {
			out.failFile(d.root.line, "document %d must be a map of fields, not %s", d.number, describe(d.root))
			continue
		}
		before := len(out.problems)
		kind := documentKind(root, i == 0)
		unreadable = unreadable || len(out.problems) > before // what it was meant to be is not known
		if line, again := first[kind]; again && (kind == kindCluster || kind == kindSettings) {
			out.fail(d, field.Forbidden(field.NewPath("kind"),
				fmt.Sprintf("a file has one %s document, and line %d begins the first", kind, line)))
			continue
		}
		first[kind] = d.root.line
		switch kind {
		case kindCluster:
			c.cluster = readCluster(root)
		case kindNodePool:
			c.nodePools = append(c.nodePools, readNodePool(root))
		case kindNamespace:
			c.namespaces = append(c.namespaces, readNamespace(root))
		case kindSettings:
			c.settings = readSettings(root)
		}
	}
	switch {
	case unreadable || c.cluster != nil:
	case len(docs) == 0:
		out.failFile(1, "the file is empty: %s", wantedDocument)
	default:
		out.failFile(1, "the file has no Cluster: %s", wantedDocument)
	}
	return c
}

// documentKind gives the kind of a document that is read here, or "".
func documentKind(root cursor, isFirst bool) string {
	hasVersion, hasKind := root.field("apiVersion").exists(), root.field("kind").exists()
	if !hasVersion && !hasKind {
		if looksForgotten := root.field("spec").exists() || root.field("metadata").exists(); looksForgotten || !isFirst {
			root.report(root.child("kind").required("apiVersion and kind say what a document is; %s", headerDocuments))
		}
		return ""
	}
	version, kind := root.field("apiVersion").str(), root.field("kind").str()
	switch {
	case !hasVersion:
		root.report(version.required("the version of kind %s%s", quote(clip(kind.v)), versionHint(kind.v)))
	case !hasKind:
		root.report(kind.required("the kind of document%s", root.hint("kind")))
	}
	if !version.ok || !kind.ok {
		return ""
	}
	switch group, _, _ := strings.Cut(version.v, "/"); {
	case group == groupGDCV:
		return kindOf(root, version, kind, apiVersionGDCV, kindCluster, kindNodePool)
	case group == groupOwn:
		result := kindOf(root, version, kind, apiVersionOwn, kindSettings)
		if result == "" && version.v == apiVersionOwn && suggest.Nearest(kind.v, []string{kindSettings}) == "" {
			root.report(kind.unsupported(kind.v, kindSettings))
		}
		return result
	case version.v == "v1" && kind.v == kindNamespace:
		return kindNamespace
	case suggest.Nearest(group, []string{groupGDCV}) != "" && (kind.v == kindCluster || kind.v == kindNodePool):
		root.report(version.unsupported(version.v, apiVersionGDCV))
	}
	return ""
}

// kindOf reports a version that is not read, and a kind that is a typing mistake away from one that is: passed over as
// foreign, a mistyped NodePool would leave its nodes unchecked.
func kindOf(root cursor, version, kind value[string], want string, known ...string) string {
	isKnown := slices.Contains(known, kind.v)
	switch {
	case isKnown && version.v != want:
		root.report(version.unsupported(version.v, want))
		return ""
	case isKnown:
		return kind.v
	case suggest.Nearest(kind.v, known) != "":
		root.report(kind.bad("unknown kind; did you mean %q?", suggest.Nearest(kind.v, known)))
	}
	return ""
}

func versionHint(kind string) string {
	switch kind {
	case kindCluster, kindNodePool:
		return " is " + apiVersionGDCV
	case kindSettings:
		return " is " + apiVersionOwn
	case kindNamespace:
		return " is v1"
	default:
		return ""
	}
}
