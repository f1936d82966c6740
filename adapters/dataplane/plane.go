package dataplane

import (
	"log/slog"
	"slices"
	"time"

	"viplog/core/node"
)

const (
	// unknownPatience is how long a data plane is waited for that has never answered; if the host has just booted that is bootPatience.
	unknownPatience = 10 * time.Second
	// bootPatience is how long a node that has just booted, or requires its data plane, waits for it, when it could join otherwise.
	bootPatience = time.Minute
	// deadAfter is how long kube-proxy is away or not healthy until the node is no candidate.
	deadAfter = time.Minute
	// maxMarks are the numbers whose waits are kept apart.
	maxMarks = 64
	// staysNewest is how long a number counts after it was said last, if a lower one is said.
	staysNewest = 3 * time.Second
)

// plane is what is known of the data plane. It takes time from its caller.
type plane struct {
	isRequired bool // by the setting: it is waited for, and may be dead, also before it has answered
	logger     *slog.Logger

	begun     time.Time
	isWaited  bool      // the host has just booted, or kube-proxy is required: the node is not to join yet
	couldJoin time.Time // since when it is only that; zero: it could not join anyway
	answered  bool      // ever, healthy or not
	saidNone  bool
	asked     time.Time // when it was asked last; zero: a stamp of any age is believed
	failing   time.Time // since when; zero: it is well
	isDead    bool
	isOther   bool // it did not answer in between: it may be another process
	families  map[string]*syncs
	marks     []mark // not served yet, of one family at least
	published uint64 // the newest number; 0: none was said
	saidAt    time.Time
}

// mark is a number that a controller has said, and when.
type mark struct {
	through uint64
	said    time.Time
}

func newPlane(now time.Time, isRequired, justBooted bool, logger *slog.Logger) *plane {
	p := &plane{begun: now, isRequired: isRequired, isWaited: justBooted || isRequired, logger: logger, families: map[string]*syncs{}}
	if justBooted { // a stamp from before may only seem to be old: after a boot clocks are set
		p.asked = now
	}
	return p
}

// say takes the number up to which statuses are written, and tells whether it is another one. A lower one is of a controller that is no writer any more, or of
// another log.
func (p *plane) say(through uint64, now time.Time) (isNew bool) {
	switch {
	case through < p.published && now.Sub(p.saidAt) < staysNewest:
		return false
	case through < p.published:
		p.marks = nil
		for _, s := range p.families {
			s.through = 0
		}
	}
	p.saidAt = now
	if through == p.published {
		return false
	}
	p.published = through
	if len(p.marks) == maxMarks {
		p.marks = p.marks[:maxMarks-1] // it is served when the next one is
	}
	p.marks = append(p.marks, mark{through, now})
	return true
}

// joins takes note that the node could join from now on. Hosts that boot together have no log for a while, and no API server for longer.
func (p *plane) joins(now time.Time) {
	if p.couldJoin.IsZero() {
		p.couldJoin = now
	}
}

// took takes an answer, or the error that there is none, and when it was asked for.
func (p *plane) took(h health, err error, now time.Time) {
	if err == nil {
		if !p.answered {
			p.answered = true
			p.logger.Info("the data plane answers: a new address is announced when it serves it")
		}
		p.sawSyncs(h, now)
	} else {
		p.isOther = true
	}
	if err == nil && h.isHealthy {
		p.failing = time.Time{}
	} else if p.failing.IsZero() {
		p.failing = now
	}
	p.asked = now
	if (p.answered || p.isRequired) && !p.isDead && !p.failing.IsZero() && now.Sub(p.failing) >= deadAfter {
		p.isDead = true
		p.logger.Error("the data plane is dead: this node is no candidate, if another one is", "for", deadAfter, "error", why(h, err))
	}
	p.settle(now, err)
}

func why(h health, err error) string {
	if err == nil && !h.isHealthy {
		return "it says that it is not healthy"
	}
	return err.Error()
}

func (p *plane) sawSyncs(h health, now time.Time) {
	if h.hasNone { // it counts as one sync, of when the process answered first
		first := stamp{at: now}
		if s := p.families[""]; s != nil && !p.isOther {
			first.at = s.stamp
		}
		h.stamps = map[string]stamp{"": first}
	} else {
		delete(p.families, "")
	}
	for family, stamp := range h.stamps {
		s := p.families[family]
		if s == nil {
			s = &syncs{}
			p.families[family] = s
		}
		s.saw(stamp, p.asked, now, p.isOther)
	}
	p.isOther = false
}

// settle draws what follows from what is known now.
func (p *plane) settle(now time.Time, err error) {
	if p.failing.IsZero() {
		for _, s := range p.families {
			for _, m := range p.marks {
				if s.serve(m.said, now) {
					s.through = max(s.through, m.through)
				}
			}
		}
		p.marks = slices.DeleteFunc(p.marks, func(m mark) bool { return m.through <= p.serves() })
	}
	if p.isDead && p.hasSynced() { // until then the kernel's rules are as old as it was dead for
		p.isDead = false
		p.logger.Info("the data plane is back")
	}
	waited := now.Sub(p.begun)
	tooLong := !p.couldJoin.IsZero() && now.Sub(p.couldJoin) >= bootPatience
	switch {
	case p.isWaited && p.hasSynced():
		p.isWaited = false
		p.logger.Info("the data plane has served: the node may join", "after", waited.Round(time.Millisecond))
	case p.isWaited && tooLong:
		p.isWaited = false
		p.logger.Warn("the data plane has not served: the node joins all the same", "after", bootPatience, "error", err)
	}
	if !p.answered && !p.saidNone && !p.isWaited && waited >= unknownPatience {
		p.saidNone = true
		if p.isRequired {
			p.logger.Warn("the data plane does not answer: each new address waits for it as long as may be", "error", err)
		} else {
			p.logger.Info("no kube-proxy answers: addresses are announced without waiting for a data plane, until one does", "error", err)
		}
	}
}

func (p *plane) hasSynced() bool {
	for _, s := range p.families {
		if !s.synced {
			return false
		}
	}
	return len(p.families) > 0 && p.failing.IsZero()
}

// serves is the number that all families serve.
func (p *plane) serves() uint64 {
	least := node.ServesAll
	for _, s := range p.families {
		least = min(least, s.through)
	}
	if len(p.families) == 0 {
		return 0
	}
	return least
}

// state is what the node is to know.
func (p *plane) state() node.DataPlane {
	in := node.ServesThrough(p.serves())
	if s, has := p.families["IPv4"]; has {
		in.IPv4 = s.through
	}
	if s, has := p.families["IPv6"]; has {
		in.IPv6 = s.through
	}
	if p.published == 0 || !p.answered && !p.isRequired { // nobody says what is written, or nobody would serve it
		in = node.ServesThrough(node.ServesAll)
	}
	switch {
	case p.isDead:
		in.State = node.DataPlaneDead
	case p.isWaited:
		in.State = node.DataPlaneStarting
	}
	return in
}

// How often kube-proxy is asked.
const (
	often  = 100 * time.Millisecond // while something waits for what it says
	seldom = 2 * time.Second
)

// pause is for how long it is not asked.
func (p *plane) pause(now time.Time) time.Duration {
	isAway := !p.failing.IsZero() && now.Sub(p.failing) >= unknownPatience && !p.isWaited
	if isAway || len(p.marks) == 0 && !p.isWaited && (p.answered || p.saidNone) {
		return seldom
	}
	return often
}
