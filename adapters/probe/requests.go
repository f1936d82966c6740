package probe

import (
	"sync"
	"time"
)

// requests are those of one stream, by their numbers: when each was sent and answered, counted from the start.
type requests struct {
	name string

	mu         sync.Mutex
	sent       []time.Duration
	answered   []time.Duration // never: none
	waiting    int             // sent and not answered, unsent ones apart
	answers    int             // requests that have one
	unsent     int
	duplicates int
	troubles   []trouble
}

const never = time.Duration(-1)

type trouble struct {
	what  string
	count int
	first time.Duration
}

func newRequests(name string, most int) *requests {
	return &requests{name: name, sent: make([]time.Duration, 0, most), answered: make([]time.Duration, 0, most)}
}

// send notes a request that is about to be sent, and gives its number.
func (r *requests) send(at time.Duration) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, at)
	r.answered = append(r.answered, never)
	r.waiting++
	return len(r.sent) - 1
}

// fail notes that the newest request has not left.
func (r *requests) fail(at time.Duration, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unsent++
	r.waiting--
	r.noteLocked(at, why)
}

// answer notes an answer. It gives false for a number that was not sent.
func (r *requests) answer(number int, at time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if number < 0 || number >= len(r.sent) {
		return false
	}
	if r.answered[number] != never {
		r.duplicates++
		return true
	}
	r.answered[number] = at
	r.answers++
	r.waiting--
	return true
}

// drop notes that a request which was sent cannot be answered any more.
func (r *requests) drop(at time.Duration, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting--
	r.noteLocked(at, why)
}

// note counts what the kernel said.
func (r *requests) note(at time.Duration, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.noteLocked(at, what)
}

func (r *requests) noteLocked(at time.Duration, what string) {
	for i := range r.troubles {
		if r.troubles[i].what == what {
			r.troubles[i].count++
			return
		}
	}
	r.troubles = append(r.troubles, trouble{what, 1, at}) // errnos: there are few
}

// counts gives how many were sent, and how many wait for an answer.
func (r *requests) counts() (sent, waiting int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.sent), r.waiting
}

// newest is the number of the newest request; -1 before the first.
func (r *requests) newest() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.sent) - 1
}

// newestAt is the number of the newest request that had been sent at an instant; -1 for none.
func (r *requests) newestAt(at time.Duration) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.sent) - 1
	for n >= 0 && r.sent[n] > at {
		n--
	}
	return n
}

// sentAndAnswered counts both.
func (r *requests) sentAndAnswered() (sent, answered int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.sent), r.answers
}
