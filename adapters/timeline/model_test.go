package timeline

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"viplog/core/trace"
)

// vip is the address of most tests.
var vip = netip.MustParseAddr("192.0.2.1")

// at is a record; times are in milliseconds.
func at(millis int, actor string, n trace.Note) trace.Record {
	return trace.Record{At: time.Duration(millis) * time.Millisecond, Actor: actor, Note: n}
}

func of(kind trace.Kind) trace.Note { return trace.Note{Kind: kind, Address: vip} }

// modelOf is of a trace that ends after 10 s.
func modelOf(records ...trace.Record) *model {
	return build(Timeline{End: 10 * time.Second, Records: records})
}

// told is bars as a person reads them: from, to (+ for: it goes on), state, text.
func told(bars []bar) (lines []string) {
	for _, b := range bars {
		open := ""
		if b.Open {
			open = "+"
		}
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%d-%d%s %s %s", b.From.Milliseconds(), b.To.Milliseconds(), open, b.State, b.Text)))
	}
	return lines
}

func same(t *testing.T, got, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestNodesStandAsTheirRecordsSay(t *testing.T) {
	m := modelOf(
		at(0, "lb-1", of(trace.Started)), at(1, "lb-1", of(trace.Joined)), at(2, "lb-1", of(trace.Leased)),
		at(3, "lb-1", trace.Note{Kind: trace.LeaseLost, Text: "hold"}), at(4, "lb-1", of(trace.Leased)),
		at(5, "lb-1", trace.Note{Kind: trace.LeaseLost, Text: "yield"}), at(6, "lb-1", of(trace.Ended)), at(7, "lb-1", of(trace.Down)),
	)
	same(t, told(m.Lanes[0].Bars), []string{
		"0-0 down", "0-1 started", "1-2 joined", "2-3 leased", "3-4 holding", "4-5 leased", "5-6 joined", "6-7 started", "7-10000+ down",
	})
}

func TestWhatWasBeforeTheTraceIsUnknownOrFollows(t *testing.T) {
	m := modelOf(at(10, "lb-1", of(trace.Announced)), at(20, "lb-2", of(trace.Stopped)))
	same(t, told(m.Lanes[0].Bars), []string{"0-10 unknown", "10-10000+ leased"})
	same(t, told(m.Bands[0].Rows[1].Bars), []string{"0-20 announcing"})
}

func TestAnAddressIsAnnouncedFromAnnouncedToStoppedOrDown(t *testing.T) {
	m := modelOf(
		at(1, "lb-1", of(trace.Probing)), at(2, "lb-1", of(trace.Announced)), at(3, "lb-1", of(trace.Demoted)),
		at(4, "lb-1", trace.Note{Kind: trace.Stopped, Address: vip, Text: "is another's"}), at(5, "lb-2", of(trace.Announced)), at(9, "lb-2", trace.Note{Kind: trace.Down}),
	)
	same(t, told(m.Bands[0].Rows[0].Bars), []string{"1-2 probing", "2-3 announcing", "3-4 handing over is another's"})
	same(t, told(m.Bands[0].Rows[1].Bars), []string{"5-9 announcing its process ended"})
}

func TestWhatIsAnnouncedIsHeldWhileTheLeaseIsLost(t *testing.T) {
	m := modelOf(
		at(1, "lb-1", of(trace.Leased)), at(2, "lb-1", of(trace.Announced)), at(3, "lb-1", trace.Note{Kind: trace.LeaseLost, Text: "hold"}),
		at(5, "lb-1", trace.Note{Kind: trace.Leased}),
	)
	same(t, told(m.Bands[0].Rows[0].Bars), []string{"2-3 announcing", "3-5 held", "5-10000+ announcing"})
}

func TestClientsReachWhoServedThem(t *testing.T) {
	served := func(millis int, by string, gap time.Duration) trace.Record {
		return at(millis, "client-1", trace.Note{Kind: trace.Served, Address: vip, By: by, Gap: gap * time.Millisecond})
	}
	darkness := at(2600, "client-1", trace.Note{Kind: trace.Dark, Address: vip, Gap: 2100 * time.Millisecond})
	for _, c := range []struct {
		name    string
		records []trace.Record
		want    []string
		says    string
	}{
		{
			"a gap is before what is served",
			[]trace.Record{served(100, "lb-1", 0), served(1000, "lb-2", 505)},
			[]string{"100-495 reached lb-1", "495-1000 dark", "1000-10000+ reached lb-2"},
			"Nobody answers for 192.0.2.1 for 505 ms; then lb-2 does.",
		},
		{
			"two answers are apart a little always",
			[]trace.Record{served(100, "lb-1", 0), served(1000, "lb-2", 5)},
			[]string{"100-995 reached lb-1", "995-1000 between", "1000-10000+ reached lb-2"},
			"",
		},
		{
			"dark until served",
			[]trace.Record{served(100, "lb-1", 0), darkness, served(3000, "lb-2", 2500)},
			[]string{"100-500 reached lb-1", "500-3000 dark", "3000-10000+ reached lb-2"},
			"Nobody answers for 192.0.2.1 for 2.50 s; then lb-2 does.",
		},
		{
			"dark until the end",
			[]trace.Record{served(100, "lb-1", 0), darkness},
			[]string{"100-500 reached lb-1", "500-10000+ dark"},
			"Nobody answers for 192.0.2.1 for 9.50 s, and still at the end.",
		},
		{
			"a gap longer than the trace",
			[]trace.Record{served(100, "lb-1", 5000)},
			[]string{"0-100 dark", "100-10000+ reached lb-1"},
			"Nobody answers for 192.0.2.1 for 100 ms; then lb-1 does.",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := modelOf(c.records...)
			same(t, told(m.Bands[0].Reach[0].Bars), c.want)
			same(t, sentences(m, blackHole), slices.DeleteFunc([]string{c.says}, func(s string) bool { return s == "" }))
		})
	}
}

func TestSeveralClientsSeeOneBlackHole(t *testing.T) {
	served := func(millis int, client, by string, gap time.Duration) trace.Record {
		return at(millis, client, trace.Note{Kind: trace.Served, Address: vip, By: by, Gap: gap * time.Millisecond})
	}
	before := []trace.Record{served(1, "client-1", "lb-1", 0), served(1, "client-2", "lb-1", 0)}
	m := modelOf(append(slices.Clone(before), served(600, "client-1", "lb-2", 500), served(605, "client-2", "lb-2", 503))...)
	same(t, sentences(m, blackHole), []string{"Nobody answers for 192.0.2.1 for 503 ms; then lb-2 does."})
	m = modelOf(append(before, served(600, "client-2", "lb-2", 500))...)
	same(t, sentences(m, blackHole), []string{"Nobody answers to client-2 for 192.0.2.1 for 500 ms; then lb-2 does."})
}

func TestAnOverlapLastsUntilOneIsAlone(t *testing.T) {
	begins := at(10, "auditor", trace.Note{Kind: trace.Overlap, Address: vip, Text: "lb-1 and lb-2"})
	ends := at(30, "auditor", trace.Note{Kind: trace.Alone, Address: vip, Gap: 20 * time.Millisecond})
	for _, c := range []struct {
		records []trace.Record
		want    string
		says    string
	}{
		{[]trace.Record{begins, ends}, "10-30  lb-1 and lb-2", "Two nodes answer for 192.0.2.1 at once, lb-1 and lb-2: for 20 ms."},
		{[]trace.Record{begins}, "10-10000+  lb-1 and lb-2", "Two nodes answer for 192.0.2.1 at once, lb-1 and lb-2: for 9.99 s, and still at the end."},
		{[]trace.Record{ends}, "10-30  two nodes", "Two nodes answer for 192.0.2.1 at once, which ones is not known: for 20 ms."},
	} {
		m := modelOf(c.records...)
		same(t, told(m.Bands[0].Overlaps), []string{c.want})
		same(t, sentences(m, overlap), []string{c.says})
		if !m.Bands[0].Notable {
			t.Error("an overlap makes its address notable")
		}
	}
}

func TestMovesSayFromWhomAndWhy(t *testing.T) {
	to := at(50, "lb-2", of(trace.Announced))
	for _, c := range []struct {
		ends trace.Record
		says string
	}{
		{at(20, "lb-1", trace.Note{Kind: trace.Down}), "lb-2 takes over 192.0.2.1 from lb-1, 30 ms after lb-1 went down."},
		{at(20, "lb-1", trace.Note{Kind: trace.Stopped, Address: vip, Text: "leaves"}), "lb-2 takes over 192.0.2.1 from lb-1, 30 ms after lb-1 stopped (leaves)."},
		{at(50, "lb-1", of(trace.Stopped)), "lb-2 takes over 192.0.2.1 from lb-1, when lb-1 stopped."},
		{at(60, "lb-1", of(trace.Stopped)), "lb-2 takes over 192.0.2.1 from lb-1, 10 ms before lb-1 stopped."},
		{at(20, "lb-3", of(trace.Joined)), "lb-2 announces 192.0.2.1 beside lb-1, which announces it until the end."},
	} {
		same(t, sentences(modelOf(at(10, "lb-1", of(trace.Announced)), c.ends, to), move), []string{c.says})
	}
	if m := modelOf(at(10, "lb-1", of(trace.Announced)), at(20, "lb-1", of(trace.Stopped)), at(30, "lb-1", of(trace.Announced))); len(sentences(m, move)) > 0 {
		t.Error("nobody takes over from itself")
	}
	m := build(Timeline{Began: time.Second, Records: []trace.Record{at(10, "lb-1", of(trace.Announced)), to}})
	if len(m.Findings) > 0 {
		t.Errorf("what moves in the set-up is no finding: %v", m.Findings)
	}
}

func TestAViolationIsOfTheAddressThatItNames(t *testing.T) {
	violated := trace.Note{Kind: trace.Violated, Text: "exclusive announcement: lb-1 and lb-2 both answer for 192.0.2.1, both leased"}
	m := modelOf(at(10, "lb-1", of(trace.Announced)), at(20, "auditor", violated))
	if f := m.Findings[0]; f.Band != 0 || f.Sort != violation {
		t.Errorf("got %+v", f)
	}
}

func TestWhatIsFoundAgainAndAgainIsToldOnce(t *testing.T) {
	once, often := trace.Note{Kind: trace.Violated, Text: "hold: lb-1"}, trace.Note{Kind: trace.Violated, Text: "lemma: lb-2"}
	m := modelOf(at(10, "auditor", often), at(20, "auditor", once), at(30, "auditor", often))
	same(t, sentences(m, violation), []string{"Violated: lemma: lb-2 (found 2 times).", "Violated: hold: lb-1."})
}

func TestWhoeverAnnouncesInAnOverlapIsNamed(t *testing.T) {
	overlaps := at(20, "auditor", trace.Note{Kind: trace.Overlap, Address: vip, Text: "lb-1 and lb-2"})
	m := modelOf(at(10, "lb-1", of(trace.Announced)), at(20, "lb-2", of(trace.Announced)), overlaps, at(30, "lb-3", of(trace.Announced)),
		at(40, "auditor", of(trace.Alone)), at(50, "lb-4", of(trace.Announced)))
	same(t, sentences(m, overlap), []string{"Two nodes answer for 192.0.2.1 at once, lb-1 and lb-2, then lb-3 as well: for 20 ms."})
}

func sentences(m *model, of sort) (all []string) {
	all = []string{}
	for _, f := range m.Findings {
		if f.Sort == of {
			all = append(all, f.Text)
		}
	}
	return all
}

func TestDurationsHaveThreeDigits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ns", 999: "999 ns", 1500: "1.50 µs", 465 * time.Millisecond: "465 ms", 151_700_000: "152 ms", 12_340_000: "12.3 ms", 2 * time.Second: "2 s",
		2500 * time.Millisecond: "2.50 s", -5: "0 ns",
	} {
		if got := short(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
}
