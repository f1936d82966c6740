package probe

import (
	"maps"
	"net"
	"slices"
	"sync"
	"time"
)

// mac is an Ethernet address, comparable.
type mac [6]byte

func (m mac) String() string { return net.HardwareAddr(m[:]).String() }

// answers are those of MACs to questions without numbers.
type answers struct {
	*requests
	spacing time.Duration

	mu       sync.Mutex
	byMAC    map[mac]map[int]bool // which of the two newest a MAC has answered
	holding  []*holding           // in the order of first answers
	announce map[mac]int          // announcements since the last holding of a MAC began
}

// holding is a Holder before it has wall times.
type holding struct {
	mac           mac
	first, last   time.Duration
	answers       int
	announcements int
}

func newAnswers(r *requests, spacing time.Duration) *answers {
	return &answers{requests: r, spacing: spacing, byMAC: map[mac]map[int]bool{}, announce: map[mac]int{}}
}

// pause is how long a MAC may be silent and still hold the address, when another one has answered.
func (a *answers) pause() time.Duration { return max(10*a.spacing, 50*time.Millisecond) }

// take notes that a MAC has answered.
func (a *answers) take(by mac, at time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.attribute(by, at)
	var own *holding
	for _, h := range slices.Backward(a.holding) {
		if h.mac == by {
			own = h
			break
		}
	}
	alone := own != nil && a.holding[len(a.holding)-1] == own && !slices.ContainsFunc(a.holding, func(h *holding) bool {
		return h.mac != by && h.last > own.last
	})
	if own == nil || !alone && at-own.last > a.pause() {
		own = &holding{mac: by, first: at}
		a.holding = append(a.holding, own)
	}
	own.last = at
	own.answers++
	own.announcements += a.announce[by]
	a.announce[by] = 0
}

// attribute finds the request of an answer: the newest, or the one before if this MAC has answered that one already, because a prober without
// time reads two at once. Looking further back would let an answer to the kernel's own question count for a request that was lost.
func (a *answers) attribute(by mac, at time.Duration) {
	done := a.byMAC[by]
	if done == nil {
		done = map[int]bool{}
		a.byMAC[by] = done
	}
	newest := a.newestAt(at)
	maps.DeleteFunc(done, func(n int, _ bool) bool { return n < newest-1 })
	n := newest
	if done[n] && n > 0 && !done[n-1] {
		n--
	}
	done[n] = true
	a.answer(n, at)
}

// hear notes an announcement.
func (a *answers) hear(by mac) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.announce[by]++
}

// holders gives who held the address, and the changes between them.
func (a *answers) holders(clock time.Time) (all []Holder, changes []Change) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, h := range slices.Backward(a.holding) {
		h.announcements += a.announce[h.mac] // since its last answer
		a.announce[h.mac] = 0
	}
	for i, h := range a.holding {
		all = append(all, Holder{h.mac.String(), wall(clock, h.first), wall(clock, h.last), h.answers, h.announcements})
		if i == 0 {
			continue
		}
		before := a.holding[i-1]
		c := Change{From: before.mac.String(), To: h.mac.String(), At: wall(clock, h.first), Gap: max(0, h.first-before.last)}
		if h.first < before.last {
			c.Overlap = min(h.last, before.last) - h.first
		}
		changes = append(changes, c)
	}
	return all, changes
}
