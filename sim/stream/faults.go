package stream

import (
	"slices"
	"strings"
	"time"
)

// LoseNextRequest loses the next append before it arrives.
func (s *Stream) LoseNextRequest() { s.losesRequest = true }

// LoseNextAck loses the answer to the next append that arrives.
func (s *Stream) LoseNextAck() { s.losesAck = true }

// LeaderGone leaves the log without a leader for a while: 4 to 10 s were measured after a kill or a hang. A request that
// arrives meanwhile is refused, lost, or done when there is a leader again; pushes on their way are lost.
func (s *Stream) LeaderGone(d time.Duration) {
	s.leaderless = max(s.leaderless, s.kernel.Now()+d)
	s.kernel.After(s.leaderless-s.kernel.Now(), s.elect)
}

func (s *Stream) elect() {
	if s.kernel.Now() < s.leaderless {
		return
	}
	held := s.held
	s.held = nil
	for _, r := range held {
		r.handle()
	}
}

// Cut ends all traffic between a client and the log. What was on its way is lost, or some requests wait for Heal.
func (s *Stream) Cut(client string) { s.station(client).cut = true }

// Heal ends a Cut. What waited arrives now, in order.
func (s *Stream) Heal(client string) {
	st := s.station(client)
	st.cut = false
	held := st.held
	st.held = nil
	for _, r := range held {
		r.travel()
	}
}

// Lag lets everything that a client's followers get come that much later, in order; 0 ends it. That a lost push is
// noticed does not shorten it: the client reads slowly.
func (s *Stream) Lag(client string, d time.Duration) { s.station(client).lag = d }

// Hang lets a client's followers get nothing for a while, and then all of it.
func (s *Stream) Hang(client string, d time.Duration) {
	st := s.station(client)
	st.hung = max(st.hung, s.kernel.Now()+d)
}

// Reset breaks a client's connection. Answers and pushes on their way are lost, and appends may be; its followers begin
// again where they are when it has connected anew.
func (s *Stream) Reset(client string) {
	st := s.station(client)
	st.held = nil
	c := st.client
	if c == nil || c.closed {
		return
	}
	c.connection++
	c.sends = max(c.sends, s.kernel.Now()+s.between(st.reconnect, s.Reconnect))
	for _, f := range slices.Clone(c.followings) {
		f.restart()
	}
}

// Replace puts another log in the place of this one: empty, with another identity. Followers that stay subscribed get
// its entries, until a check of the head tells them that it is another.
func (s *Stream) Replace() {
	s.renew()
	for _, f := range s.followings {
		f.suspect()
	}
}

// HoldAppends keeps facts whose type begins so from being stored for a while: each is lost on its way.
func (s *Stream) HoldAppends(typePrefix string, d time.Duration) {
	s.holding = append(s.holding, holding{typePrefix, s.kernel.Now() + d})
}

// holding is a kind of fact that is not stored for a while.
type holding struct {
	typePrefix string
	until      time.Duration
}

func (s *Stream) holds(typeName string) bool {
	return slices.ContainsFunc(s.holding, func(h holding) bool {
		return s.kernel.Now() < h.until && strings.HasPrefix(typeName, h.typePrefix)
	})
}

// Purge drops the entries up to and including a sequence.
func (s *Stream) Purge(through uint64) {
	s.store.purge(through)
	for _, f := range s.followings {
		if f.next < s.store.first {
			f.suspect()
		}
	}
}

// Calm ends every fault that lasts, and all chances: what is to go wrong has.
func (s *Stream) Calm() {
	s.Chances = Chances{}
	s.losesRequest, s.losesAck = false, false
	s.holding = nil
	s.leaderless = min(s.leaderless, s.kernel.Now())
	s.elect()
	for _, st := range s.stations {
		st.lag, st.hung = 0, min(st.hung, s.kernel.Now())
		s.Heal(st.name)
		if st.client != nil {
			st.client.wake()
		}
	}
}
