package campaign

import (
	"slices"
	"strings"
	"time"

	"viplog/core/trace"
)

// Mark is something that a campaign must have reached: one that is not hit says that the campaign no longer looks where it is to.
type Mark struct {
	Name string
	hit  func(w *watch, r trace.Record) bool
}

// Marks are all that there are: plain events, and events under circumstances that are hard to come by.
var Marks = []Mark{
	plain("a node goes on as the incarnation before", trace.Resumed, ""),
	plain("a lease is lost, and addresses are held", trace.LeaseLost, "hold"),
	plain("a lease is lost, and addresses are yielded", trace.LeaseLost, "yield"),
	plain("an address is probed before its first use", trace.Probing, ""),
	plain("an owner answers until the others have read that it is none", trace.Demoted, ""),
	plain("a voter votes", trace.Voted, ""),
	plain("a node acts on a proof of death", trace.Dead, ""),
	plain("a node gives up its incarnation", trace.Ended, ""),
	plain("a node leaves", trace.Left, ""),
	plain("a fact is refused", trace.Refused, ""),
	plain("two nodes answer for an address, one of them without a lease", trace.Overlap, ""),
	plain("clients get no answer", trace.Dark, ""),
	plain("a voter is added", trace.Appended, "viplog.VoterAdded"),
	plain("a voter is removed", trace.Appended, "viplog.VoterRemoved"),
	plain("a change of voters is settled", trace.Appended, "viplog.VotersSettled"),
	{"a standby announces before the death of the owner is in the log", func(w *watch, r trace.Record) bool {
		return r.Kind == trace.Announced && w.died > 0 && !w.failedSince(w.died)
	}},
	{"a death is proven while the log has no leader", func(w *watch, r trace.Record) bool {
		return r.Kind == trace.Dead && r.At < w.leaderless
	}},
	{"a node joins while voters change", func(w *watch, r trace.Record) bool { return r.Kind == trace.Joined && w.unsettled }},
	{"a voter votes while voters change", func(w *watch, r trace.Record) bool { return r.Kind == trace.Voted && w.unsettled }},
	{"two nodes die within a second", func(w *watch, r trace.Record) bool {
		return isAppended(r, "viplog.NodeFailed") && w.failed > 0 && r.At-w.failed < time.Second
	}},
	{"a node that hands over waits for another to read the fact", func(w *watch, r trace.Record) bool {
		at, demoted := w.demoted[r.Actor+r.Address.String()]
		return r.Kind == trace.Stopped && demoted && r.At-at > 100*time.Millisecond
	}},
}

func plain(name string, kind trace.Kind, text string) Mark {
	return Mark{name, func(_ *watch, r trace.Record) bool { return r.Kind == kind && strings.HasPrefix(r.Text, text) }}
}

// watch is what of the past a mark may depend on.
type watch struct {
	leaderless time.Duration // until when
	unsettled  bool
	died       time.Duration // when a node last learned of a proven death; 0: never
	failed     time.Duration // when the last NodeFailed was stored; 0: never
	demoted    map[string]time.Duration
}

func (w *watch) failedSince(at time.Duration) bool { return w.failed >= at }

func isAppended(r trace.Record, name string) bool {
	return r.Kind == trace.Appended && strings.HasPrefix(r.Text, name)
}

func (w *watch) see(r trace.Record) {
	switch {
	case r.Kind == trace.Fault && strings.HasPrefix(r.Text, "has no leader for "):
		d, _ := time.ParseDuration(strings.TrimPrefix(r.Text, "has no leader for "))
		w.leaderless = r.At + d
	case isAppended(r, "viplog.VoterAdded"), isAppended(r, "viplog.VoterRemoved"):
		w.unsettled = true
	case isAppended(r, "viplog.VotersSettled"):
		w.unsettled = false
	case isAppended(r, "viplog.NodeFailed"):
		w.failed = r.At
	case r.Kind == trace.Dead:
		w.died = r.At
	case r.Kind == trace.Demoted:
		w.demoted[r.Actor+r.Address.String()] = r.At
	}
}

// MarksOf are the names of the marks that a run has hit, in the order of Marks.
func MarksOf(timeline []trace.Record) (names []string) {
	w := &watch{demoted: map[string]time.Duration{}}
	hit := make([]bool, len(Marks))
	for _, r := range timeline {
		for i, m := range Marks {
			hit[i] = hit[i] || m.hit(w, r)
		}
		w.see(r)
	}
	for i, m := range Marks {
		if hit[i] {
			names = append(names, m.Name)
		}
	}
	return names
}

// Missing are the names of the marks that none of some runs has hit.
func Missing(hit map[string]int) (names []string) {
	for _, m := range Marks {
		if hit[m.Name] == 0 {
			names = append(names, m.Name)
		}
	}
	return slices.Clip(names)
}
