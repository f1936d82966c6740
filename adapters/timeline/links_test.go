package timeline

import (
	"fmt"
	"testing"
	"time"

	"viplog/core/trace"
)

// restsOn is a record's causes as a person reads them.
func restsOn(t *testing.T, m *model, actor, text string) []string {
	t.Helper()
	out := []string{}
	found := false
	for _, e := range m.Events {
		if e.Actor != actor || e.What != text {
			continue
		}
		found = true
		for _, i := range e.On {
			out = append(out, fmt.Sprintf("%s %s", m.Events[i].Actor, m.Events[i].What))
		}
	}
	if !found {
		t.Fatalf("no record of %s: %s", actor, text)
	}
	return out
}

func TestAFailOverRestsOnVotes(t *testing.T) {
	m := build(sample(t, "power"))
	votes := []string{"voter/cp-1 voted 10.0.1.2 @9", "voter/cp-3 voted 10.0.1.2 @9"}
	same(t, restsOn(t, m, "lb-2", "down"), []string{"lb-2 fault: loses power"})
	same(t, restsOn(t, m, "lb-1", "dead 10.0.1.2 @9: by votes"), votes)
	same(t, restsOn(t, m, "log", "appended @15: viplog.NodeFailed.v1 failure.10_0_1_2"), votes)
	same(t, restsOn(t, m, "lb-1", "announced 192.0.2.1 @13"), []string{
		"log appended @13: viplog.ServiceApplied.v1 service.shop.web", "lb-1 dead 10.0.1.2 @9: by votes",
	})
	same(t, restsOn(t, m, "client-1", "served 192.0.2.1 by lb-1 after 505ms"), []string{"lb-1 announced 192.0.2.1 @13"})
	same(t, restsOn(t, m, "lb-2", "joined @9"), []string{"log appended @9: viplog.NodeJoined.v1 node.10_0_1_2"})
}

func TestTheEndOfAnIncarnationRestsOnItsFailure(t *testing.T) {
	m := build(sample(t, "double"))
	same(t, restsOn(t, m, "lb-2", "ended @9: it is out by the log"), []string{
		"log appended @9: viplog.NodeJoined.v1 node.10_0_1_2", "log appended @15: viplog.NodeFailed.v1 failure.10_0_1_2",
	})
	same(t, restsOn(t, m, "lb-2", "stopped 192.0.2.1: it is out by the log"), []string{
		"lb-2 announced 192.0.2.1 @13", "lb-2 ended @9: it is out by the log",
	})
	same(t, restsOn(t, m, "auditor", "alone 192.0.2.1 after 151.7ms"), []string{"auditor overlap 192.0.2.1: lb-1 and lb-2"})
	same(t, restsOn(t, m, "auditor", "overlap 192.0.2.1: lb-1 and lb-2"), []string{"lb-2 announced 192.0.2.1 @13", "lb-1 announced 192.0.2.1 @13"})
}

func TestAHealRestsOnWhatItHeals(t *testing.T) {
	m := modelOf(
		at(1, "lb-1", trace.Note{Kind: trace.Fault, Text: "its link is down"}), at(2, "lb-1", trace.Note{Kind: trace.Fault, Text: "loses power"}),
		at(3, "lb-1", trace.Note{Kind: trace.Heal, Text: "its link is up"}),
	)
	same(t, restsOn(t, m, "lb-1", "heal: its link is up"), []string{"lb-1 fault: its link is down"})
}

func TestAnotherProcessRestsOnNothingOfTheOneBefore(t *testing.T) {
	m := modelOf(
		at(1, "lb-1", of(trace.Announced)), at(2, "lb-1", trace.Note{Kind: trace.Down}), at(3, "lb-1", of(trace.Started)),
		at(4, "lb-1", trace.Note{Kind: trace.Announced, Address: vip, Sequence: 7}),
	)
	same(t, restsOn(t, m, "lb-1", "announced 192.0.2.1 @7"), []string{})
}

func TestRecordsRestOnWhatWasBefore(t *testing.T) {
	for _, of := range []Timeline{sample(t, "power"), sample(t, "double"), large(3000, 20)} {
		for i, e := range build(of).Events {
			for _, on := range e.On {
				if on >= i {
					t.Errorf("%s: %d rests on %d", of.Title, i, on)
				}
			}
		}
	}
}

func TestALargeTraceIsBuiltInTime(t *testing.T) {
	began := time.Now()
	m := build(large(20_000, 50))
	t.Logf("%d records, %d addresses, %d findings: %v", len(m.Events), len(m.Bands), len(m.Findings), time.Since(began))
}
