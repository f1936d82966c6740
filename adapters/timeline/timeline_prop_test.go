package timeline

import (
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"viplog/core/trace"
)

// anyTimeline has records that no cluster would write, too.
func anyTimeline(t *rapid.T) Timeline {
	kinds := []trace.Kind{otherMark.Kind, "no effect"}
	for _, m := range marks {
		kinds = append(kinds, m.Kind)
	}
	actors := []string{"lb-1", "lb-2", "lb-3", "log", "auditor", "voter/cp-1", "client-1", "client-2", "world", ""}
	addresses := []netip.Addr{{}, vip, netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("fe80::1%eth0")}
	texts := []string{"", "hold", "yield", "lb-1 and lb-2", "loses power", "has power", "all links", "stands still for 2s", "for -3s", "viplog.NodeFailed.v1 failure.192_0_2_1", hostile}
	times := rapid.OneOf(rapid.Int64Range(0, 20), rapid.Int64Range(0, 20e9), rapid.Int64())
	record := rapid.Custom(func(t *rapid.T) trace.Record {
		return trace.Record{At: time.Duration(times.Draw(t, "at")), Actor: rapid.SampledFrom(actors).Draw(t, "actor"), Note: trace.Note{
			Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Address: rapid.SampledFrom(addresses).Draw(t, "address"),
			Sequence: rapid.Uint64Range(0, 4).Draw(t, "sequence"), By: rapid.SampledFrom(actors).Draw(t, "by"),
			Gap: time.Duration(times.Draw(t, "gap")), Text: rapid.OneOf(rapid.SampledFrom(texts), rapid.String()).Draw(t, "text"),
		}}
	})
	return Timeline{
		Began: time.Duration(times.Draw(t, "began")), End: time.Duration(times.Draw(t, "end")), Records: rapid.SliceOfN(record, 0, 40).Draw(t, "records"),
		Nodes: rapid.SliceOfN(rapid.SampledFrom(actors), 0, 3).Draw(t, "nodes"), Verdict: rapid.SampledFrom([]string{"", "ok", "violated"}).Draw(t, "verdict"),
	}
}

func TestAnyRecordsCanBeShown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		of := anyTimeline(t)
		before := slices.Clone(of.Records)
		if err := Page(io.Discard, of); err != nil {
			t.Fatal(err)
		}
		if err := Text(io.Discard, of, rapid.IntRange(0, 120).Draw(t, "width"), true); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(before, of.Records) {
			t.Fatal("the caller's records were changed")
		}
	})
}

func TestBarsOfARowFollowEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		of := anyTimeline(t)
		of.Records = slices.DeleteFunc(of.Records, func(r trace.Record) bool { return r.At < 0 || r.Gap < 0 || r.At > 1<<60 || r.Gap > 1<<60 })
		of.Began, of.End = min(of.Began, 1<<60), min(of.End, 1<<60)
		m := build(of)
		follow := func(what string, bars []bar) {
			for i, b := range bars {
				if b.From > b.To {
					t.Fatalf("%s: a bar ends before it begins: %+v", what, b)
				}
				if i > 0 && bars[i-1].To > b.From {
					t.Fatalf("%s: %+v begins within %+v", what, b, bars[i-1])
				}
				if b.Open && i+1 < len(bars) {
					t.Fatalf("%s: %+v goes on and is not the last", what, b)
				}
			}
		}
		for _, l := range m.Lanes {
			follow(l.Name, l.Bars)
		}
		for _, b := range m.Bands {
			for _, row := range b.Rows {
				follow(b.Address, row.Bars)
			}
			for _, row := range b.Reach {
				follow(b.Address+" of "+row.Client, row.Bars)
			}
		}
		for _, row := range m.Faults {
			follow(row.Actor, row.Bars)
		}
	})
}

func TestEveryRecordIsInOneLaneOrIsAFault(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := build(anyTimeline(t))
		count := 0
		for i, l := range m.Lanes {
			count += len(l.Records)
			for _, r := range l.Records {
				if m.Events[r].Lane != i || m.Events[r].Actor != l.Name {
					t.Fatalf("record %d is in the lane of %s", r, l.Name)
				}
			}
		}
		for _, e := range m.Events {
			if e.Lane < 0 {
				count++
			}
			if strings.HasPrefix(e.What, " ") {
				t.Fatalf("%q", e.What)
			}
		}
		if count != len(m.Events) {
			t.Fatalf("%d of %d records have a place", count, len(m.Events))
		}
	})
}
