package explore

import (
	"fmt"
	"math/rand/v2"

	"viplog/core/event"
)

// WalkVoters takes steps at random in a world whose voters change, and says what they are in the model. Announces is whether the
// node is leased. These are the acts, besides those of WalkModel:
//
//	append add VOTER, append remove VOTER, append settle
//	fold VOTER SLOT            a voter has folded the log up to the slot
//	restart VOTER              it has folded what its disk says that it had
//	grant VOTER INCARNATION N  under the set that N changes made; vote too
func WalkVoters(o ChangesOptions, seed uint64, steps int) (walk []ModelStep) {
	w := Changes(o).(*changes)
	m := &modelledVoters{ready: uint64(w.ready)}
	m.act("append join 0")
	m.act("start 0 1 1")
	for i := range w.voters {
		m.folded(i, m.ready)
	}
	note := func(name string) {
		walk = append(walk, ModelStep{Name: name, Acts: m.acts, Announces: []bool{w.holder.Until() > w.now}})
		m.acts = nil
	}
	for i := range o.From {
		m.act("grant %d 1 0", i)
	}
	note("set-up")
	choose := rand.New(rand.NewPCG(seed, 0))
	for range steps {
		choices := w.Steps()
		w.model = m
		choice := choices[choose.IntN(len(choices))]
		w = choice.Do().(*changes)
		note(choice.Name)
	}
	return walk
}

// modelledVoters is told what happens as it happens. A nil one hears nothing.
type modelledVoters struct {
	acts   []string
	ready  uint64   // the sequence of the last fact of the set-up: the model's first slot
	sets   []uint64 // made by changes since
	stores uint64   // facts since
}

func (m *modelledVoters) act(format string, args ...any) {
	m.acts = append(m.acts, fmt.Sprintf(format, args...))
}

func (m *modelledVoters) slot(sequence uint64) uint64 { return sequence - m.ready + 1 }

func (m *modelledVoters) stored(e event.Event) {
	if m == nil {
		return
	}
	m.stores++
	switch e := e.(type) {
	case event.VoterAdded:
		m.act("append add %d", e.ID[0]-'A')
		m.sets = append(m.sets, m.ready+m.stores)
	case event.VoterRemoved:
		m.act("append remove %d", e.ID[0]-'A')
		m.sets = append(m.sets, m.ready+m.stores)
	case event.VotersSettled:
		m.act("append settle")
	case event.NodeFailed:
		m.act("append fail 1")
	}
}

func (m *modelledVoters) granted(voter int, set uint64) {
	if m != nil {
		m.act("grant %d 1 %d", voter, m.changesUntil(set))
	}
}

func (m *modelledVoters) voted(voter string, set uint64) {
	if m != nil {
		m.act("vote %d 1 %d", voter[0]-'A', m.changesUntil(set))
	}
}

// changesUntil counts the changes that made a set: the model's number of it.
func (m *modelledVoters) changesUntil(set uint64) (changes int) {
	for _, made := range m.sets {
		if made <= set {
			changes++
		}
	}
	return changes
}

func (m *modelledVoters) folded(voter int, sequence uint64) {
	if m != nil {
		m.act("fold %d %d", voter, m.slot(sequence))
	}
}

func (m *modelledVoters) restarted(voter int) {
	if m != nil {
		m.act("restart %d", voter)
	}
}

func (m *modelledVoters) applied(sequence uint64) {
	if m != nil && sequence > m.ready {
		m.act("apply 0 %d", m.slot(sequence))
	}
}
