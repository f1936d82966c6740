package clusterfile

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"viplog/core/event"
)

// Operators of a label selector's expressions.
const (
	operatorIn           = "In"
	operatorNotIn        = "NotIn"
	operatorExists       = "Exists"
	operatorDoesNotExist = "DoesNotExist"
)

func readSelectors(parent cursor, name string) []event.Selector {
	var selectors []event.Selector
	for _, item := range parent.objects(name) {
		selectors = append(selectors, readSelector(item))
	}
	return selectors
}

// readSelector reads a label selector; the empty one matches everything, as in Kubernetes.
func readSelector(c cursor) event.Selector {
	c.only("matchLabels", "matchExpressions")
	var s event.Selector
	if labels := c.object("matchLabels"); labels.exists() {
		for _, f := range labels.node.fields {
			at := labels.at(labels.path.Key(plainName(f.name)), f.value)
			if problems := validation.IsQualifiedName(f.name); len(problems) > 0 {
				at.report(at.invalid(f.name, "not a label's key: %s", strings.Join(problems, "; ")))
				continue
			}
			if !at.exists() {
				at.report(at.required("the label's value; write \"\" for the empty one"))
			}
			label := at.checked(validation.IsValidLabelValue)
			s.MatchLabels = append(s.MatchLabels, event.Label{Key: f.name, Value: label.v})
		}
		slices.SortFunc(s.MatchLabels, func(a, b event.Label) int { return cmp.Compare(a.Key, b.Key) })
	}
	for _, item := range c.objects("matchExpressions") {
		s.MatchExpressions = append(s.MatchExpressions, readCondition(item))
	}
	return s
}

func readCondition(c cursor) event.SelectorCondition {
	c.only("key", "operator", "values")
	key := c.field("key").checked(validation.IsQualifiedName)
	if !key.set {
		c.report(key.required("the label's key"))
	}
	operator := c.field("operator").oneOf(operatorIn, operatorNotIn, operatorExists, operatorDoesNotExist)
	if !operator.set {
		c.report(operator.required("one of In, NotIn, Exists, DoesNotExist"))
	}
	condition := event.SelectorCondition{Key: key.v, Operator: operator.v}
	items := c.list("values")
	for _, item := range items {
		if !item.exists() {
			item.report(item.required("a label's value; write \"\" for the empty one"))
		}
		condition.Values = append(condition.Values, item.checked(validation.IsValidLabelValue).v)
	}
	values := c.child("values")
	switch needsValues := operator.v == operatorIn || operator.v == operatorNotIn; {
	case !operator.ok:
	case needsValues && len(items) == 0:
		c.report(values.required("operator %s compares with at least one value", operator.v))
	case !needsValues && len(items) > 0:
		c.report(values.forbidden("operator %s takes no values", operator.v))
	}
	return condition
}
