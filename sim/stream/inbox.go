package stream

import "viplog/core/log"

// push sends entries to a follower, at most once each, or, if chance wants it, twice.
func (f *Following) push(entries []log.Entry) {
	s, st := f.client.stream, f.client.station
	if st.cut || s.chance(st.losesPush, s.OneInLosesPush) {
		f.suspect()
		return
	}
	at := s.kernel.Now() + s.between(st.push, s.Push)
	f.receive(parcel{at: at, entries: entries})
	if s.chance(st.sendsTwice, s.OneInDuplicates) {
		f.receive(parcel{at: at, entries: entries})
	}
}

// receive puts a parcel behind those that are on their way. One event is queued for all of them.
func (f *Following) receive(p parcel) {
	if f.stopped {
		return
	}
	p.at += f.client.station.lag
	if n := len(f.inbox); n > 0 {
		p.at = max(p.at, f.inbox[n-1].at)
	}
	f.inbox = append(f.inbox, p)
	f.arm()
}

// arm queues the arrival of the first parcel, or an earlier one if it is queued already.
func (f *Following) arm() {
	if len(f.inbox) == 0 {
		return
	}
	k := f.client.stream.kernel
	due := max(f.inbox[0].at, f.client.station.hung, k.Now())
	if !f.armed || due < f.due {
		f.armed, f.due = true, due
		k.At(due, f)
	}
}

// Happen is the arrival of what is due. Following is its own kernel.Event, so that a push needs no closure.
func (f *Following) Happen() {
	s, st := f.client.stream, f.client.station
	now := s.kernel.Now()
	if f.armed && now >= f.due {
		f.armed = false
	}
	for !f.stopped && now >= st.hung && len(f.inbox) > 0 && f.inbox[0].at <= now {
		p := f.inbox[0]
		f.inbox[0] = parcel{}
		if f.inbox = f.inbox[1:]; len(f.inbox) == 0 {
			f.inbox = nil
		}
		switch {
		case p.request != nil:
			p.request.answered(p.answer)
		case st.cut || now < s.leaderless:
			f.suspect()
		default:
			f.pushed(p.entries)
		}
	}
	f.arm()
}
