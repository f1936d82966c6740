package sim

import (
	"time"

	"viplog/core/event"
)

// Verdict is how a run has ended.
type Verdict string

// Verdicts.
const (
	OK           Verdict = "ok"
	Violates     Verdict = "violated"
	Inconclusive Verdict = "inconclusive"
	OutOfBudget  Verdict = "out of budget"
)

// Result is what a run has shown.
type Result struct {
	Verdict    Verdict
	Why        string
	Violations []Violation
	Virtual    time.Duration
	Events     uint64
	TraceHash  string
	Moves      int
	Overlap    time.Duration
}

// Service is a plain Service of a world.
func Service(name string) event.ServiceApplied {
	return event.ServiceApplied{
		Namespace: "default", Name: name, Source: "sim", UID: name, Families: []string{event.FamilyIPv4},
		FamilyPolicy: event.SingleStack, TrafficPolicy: event.TrafficCluster, Ports: []event.Port{{Protocol: "TCP", Port: 80}},
	}
}
