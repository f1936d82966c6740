package control

import (
	"viplog/core/event"
	"viplog/core/frontend"
	"viplog/core/ledger"
)

// Due gives the facts that a controller owes the log by itself, whatever its sources show: the one rebalance after a
// start from nothing, newer rules once every node that has joined knows them, and what is to be remembered of the control plane's front end.
func Due(s *ledger.State, nowNanos int64) []event.Event {
	var due []event.Event
	if s.RebalanceDue(nowNanos) {
		due = append(due, event.RebalanceRequested{Reason: event.RebalanceAfterStart})
	}
	if rules := s.RulesDue(); rules > 0 {
		due = append(due, event.RulesAdopted{Rules: rules})
	}
	if e := frontend.Due(s); e != nil {
		due = append(due, e)
	}
	return due
}
