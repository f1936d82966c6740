package kernel

import (
	"hash/fnv"
	"math/bits"
	"math/rand/v2"
	"time"
)

// Chooser makes every choice of a run, so that seeds, replays, the exploration of all choices and shrinking are one
// mechanism.
type Chooser interface {
	// Pick gives one of the numbers from 0 to n-1; 0 is the plainest. Stream names what it is about: a choice more in
	// one stream shifts no other.
	Pick(stream string, n int) int
}

// Seeded chooses at random, each stream by itself.
type Seeded struct {
	seed    uint64
	streams map[string]*rand.PCG
}

// NewSeeded makes the choices of a seed. They are the same in every release of Go: PCG is specified, and what is drawn
// from it is computed here.
func NewSeeded(seed uint64) *Seeded { return &Seeded{seed, map[string]*rand.PCG{}} }

// Pick implements Chooser.
func (s *Seeded) Pick(stream string, n int) int {
	pcg := s.streams[stream]
	if pcg == nil {
		hash := fnv.New64a()
		_, _ = hash.Write([]byte(stream))
		pcg = rand.NewPCG(s.seed, hash.Sum64())
		s.streams[stream] = pcg
	}
	high, _ := bits.Mul64(pcg.Uint64(), uint64(n))
	return int(high)
}

// Recording remembers the choices that another Chooser makes.
type Recording struct {
	Of    Chooser
	Picks []int
}

// Pick implements Chooser.
func (r *Recording) Pick(stream string, n int) int {
	pick := r.Of.Pick(stream, n)
	r.Picks = append(r.Picks, pick)
	return pick
}

// Recorded repeats choices; when they are used up, and where one is not to be had, it is the plainest.
type Recorded struct{ Picks []int }

// Pick implements Chooser.
func (r *Recorded) Pick(_ string, n int) int {
	if len(r.Picks) == 0 {
		return 0
	}
	pick := r.Picks[0]
	r.Picks = r.Picks[1:]
	if pick >= n {
		return 0
	}
	return pick
}

// Exhaustive makes all choices there are, one after the other: a run, then Next, until that is false.
type Exhaustive struct {
	digits []digit
	at     int
}

type digit struct{ pick, n int }

// Pick implements Chooser.
func (e *Exhaustive) Pick(_ string, n int) int {
	if e.at == len(e.digits) {
		e.digits = append(e.digits, digit{0, n})
	}
	e.at++
	return e.digits[e.at-1].pick
}

// Next goes to the next sequence of choices; false after the last one.
func (e *Exhaustive) Next() bool {
	e.at = 0
	for last := len(e.digits) - 1; last >= 0; last-- {
		if e.digits[last].pick++; e.digits[last].pick < e.digits[last].n {
			e.digits = e.digits[:last+1]
			return true
		}
	}
	return false
}

// Chance is true in one of so many cases.
func Chance(c Chooser, stream string, oneIn int) bool { return c.Pick(stream, oneIn) == oneIn-1 }

// Between gives a duration of a range, in microseconds.
func Between(c Chooser, stream string, from, to time.Duration) time.Duration {
	return from + time.Duration(c.Pick(stream, int((to-from)/time.Microsecond)+1))*time.Microsecond
}
