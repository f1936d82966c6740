package ledger

import (
	"slices"
	"strings"

	"viplog/core/event"
)

// matches applies a Kubernetes label selector to labels sorted by key. An empty selector matches everything, an operator
// that Kubernetes does not know nothing.
func matches(selector event.Selector, labels []event.Label) bool {
	for _, want := range selector.MatchLabels {
		if value, ok := labelOf(labels, want.Key); !ok || value != want.Value {
			return false
		}
	}
	return !slices.ContainsFunc(selector.MatchExpressions, func(c event.SelectorCondition) bool { return !holds(c, labels) })
}

func holds(c event.SelectorCondition, labels []event.Label) bool {
	value, ok := labelOf(labels, c.Key)
	switch c.Operator {
	case "In":
		return ok && slices.Contains(c.Values, value)
	case "NotIn":
		return !ok || !slices.Contains(c.Values, value)
	case "Exists":
		return ok
	case "DoesNotExist":
		return !ok
	default:
		return false
	}
}

func labelOf(labels []event.Label, key string) (string, bool) {
	i, ok := slices.BinarySearchFunc(labels, key, func(l event.Label, key string) int { return strings.Compare(l.Key, key) })
	if !ok {
		return "", false
	}
	return labels[i].Value, true
}

func matchesAny(selectors []event.Selector, labels []event.Label) bool {
	return slices.ContainsFunc(selectors, func(s event.Selector) bool { return matches(s, labels) })
}
