package timeline

import (
	"testing"
	"time"

	"viplog/core/trace"
)

func TestFaultsLastUntilWhatEndsThem(t *testing.T) {
	fault := func(text string) trace.Record { return at(100, "lb-1", trace.Note{Kind: trace.Fault, Text: text}) }
	heal := func(actor, text string) trace.Record {
		return at(300, actor, trace.Note{Kind: trace.Heal, Text: text})
	}
	for _, c := range []struct {
		begins, ends trace.Record
		want         string
	}{
		{fault("loses power"), heal("lb-1", "has power"), "100-300  loses power"},
		{fault("loses power"), heal("lb-2", "has power"), "100-10000+  loses power"},
		{fault("loses power"), heal("world", "all links"), "100-10000+  loses power"},
		{fault("its link is down"), heal("lb-1", "its link is up"), "100-300  its link is down"},
		{fault("is not heard by cp-1"), heal("world", "all links"), "100-300  is not heard by cp-1"},
		{fault("is cut off from voters and log"), heal("lb-1", "reaches voters and log"), "100-300  is cut off from voters and log"},
		{fault("is not heard by cp-1"), heal("lb-1", "is heard by cp-1"), "100-300  is not heard by cp-1"},
		{fault("is not heard by cp-1"), heal("lb-1", "is heard by cp-2"), "100-10000+  is not heard by cp-1"},
		{fault("lb-1 | lb-2: is split"), heal("world", "all links"), "100-300  lb-1 | lb-2: is split"},
		{fault("is asked to leave"), heal("lb-1", "has power"), "100-100  is asked to leave"},
		{fault("its agent crashes"), at(300, "lb-1", trace.Note{Kind: trace.Started}), "100-300  its agent crashes"},
		{fault("its processes stand still for 50ms"), heal("lb-1", "anything"), "100-150  its processes stand still for 50ms"},
		{fault("is suspended for 1m0s, and its clock stands still"), heal("lb-2", ""), "100-10000+  is suspended for 1m0s, and its clock stands still"},
		{fault("is asked to leave"), heal("lb-2", "has power"), "100-100  is asked to leave"},
		{fault("what nobody has thought of"), heal("lb-1", "mended"), "100-300  what nobody has thought of"},
	} {
		m := modelOf(c.begins, c.ends)
		same(t, told(m.Faults[0].Bars), []string{c.want})
	}
}

func TestOneBarHasWhatIsDoneAtOnce(t *testing.T) {
	m := modelOf(
		at(100, "lb-1", trace.Note{Kind: trace.Fault, Text: "is not heard by cp-1"}), at(100, "lb-1", trace.Note{Kind: trace.Fault, Text: "is not heard by cp-2"}),
		at(100, "lb-1", trace.Note{Kind: trace.Fault, Text: "does not reach the log"}), at(200, "world", trace.Note{Kind: trace.Heal, Text: "all links"}),
	)
	same(t, told(m.Faults[0].Bars), []string{"100-200  is not heard by cp-1, cp-2; does not reach the log"})
}

func TestFaultsOfOneTimeHaveRowsOfTheirOwn(t *testing.T) {
	m := modelOf(
		at(100, "lb-1", trace.Note{Kind: trace.Fault, Text: "its link is down"}), at(150, "lb-1", trace.Note{Kind: trace.Fault, Text: "stands still for 10ms"}),
		at(200, "lb-1", trace.Note{Kind: trace.Heal, Text: "its link is up"}), at(300, "lb-1", trace.Note{Kind: trace.Fault, Text: "loses power"}),
	)
	if len(m.Faults) != 2 {
		t.Fatalf("%d rows", len(m.Faults))
	}
	same(t, told(m.Faults[0].Bars), []string{"100-200  its link is down", "300-10000+  loses power"})
	same(t, told(m.Faults[1].Bars), []string{"150-160  stands still for 10ms"})
}

func TestWhatIsDoneInTheSetUpIsNoFinding(t *testing.T) {
	m := build(Timeline{Began: time.Second, Records: []trace.Record{at(100, "lb-1", trace.Note{Kind: trace.Fault, Text: "loses power"})}})
	if len(m.Findings) > 0 {
		t.Errorf("got %v", m.Findings)
	}
}
