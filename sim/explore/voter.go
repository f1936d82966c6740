package explore

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/log"
)

// runningVoter is a voter's process and its disk.
type runningVoter struct {
	id      string
	disk    lease.VoterDisk
	pending *lease.VoterDisk // what its disk is to store, and has not yet
	machine *lease.VotingReplica
	total   *total // its ledger
	folds   bool   // else other voters have its ledger
	wake    lease.Instant
}

func newRunningVoter(id string) runningVoter {
	return runningVoter{id: id, disk: lease.VoterDisk{Voter: id, Log: exploredLog}}
}

// start starts the process. It has folded nothing yet.
func (v *runningVoter) start(timing lease.Timing, now lease.Instant, restarts int) {
	id := v.id
	v.pending = nil
	sign := func(message []byte) []byte { return signedBy(id, message) }
	v.machine = lease.NewVotingReplica(v.disk, timing, sign, lease.VoterStart{Now: now, Serial: uint64(restarts) << 32})
	v.machine.Ledger.FoldAs(exploredBinary)
	v.total, v.folds = &total{ledger: v.machine.Ledger}, true
	v.wake = lease.Never
}

// copied is the same voter in another world.
func (v runningVoter) copied() runningVoter {
	v.machine = v.machine.CloneOn(v.total.ledger)
	v.folds = false
	return v
}

func (v *runningVoter) fold(now lease.Instant, entries []log.Entry) lease.VoterReady {
	if !v.folds {
		v.total, v.folds = &total{ledger: v.total.copied()}, true
		v.machine.Ledger = v.total.ledger
		v.machine.Ledger.TrackLists()
	}
	return v.machine.Folded(now, entries)
}

// describeDisk writes what a restart finds, and what may still be stored before.
func (v *runningVoter) describeDisk(c *lease.Canon) {
	describe := func(d lease.VoterDisk) {
		c.Sequence(d.Since)
		c.Number(uint64(len(d.Dead)))
		for _, who := range d.Dead {
			c.Incarnation(who)
		}
	}
	describe(v.disk)
	c.Flag(v.pending != nil)
	if v.pending != nil {
		describe(*v.pending)
	}
}

func exploredVoterKey(id string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("voter " + id + " of explored worlds"))
	return ed25519.NewKeyFromSeed(seed[:])
}

func exploredVoter(id string) event.Event {
	return event.VoterAdded{ID: id, Address: exploredNode(9), Key: exploredVoterKey(id).Public().(ed25519.PublicKey)}
}

type signedText struct{ voter, message string }

var signatures sync.Map // by signedText

// signedBy signs once and remembers it: worlds sign the same votes again and again.
func signedBy(voter string, message []byte) []byte {
	text := signedText{voter, string(message)}
	if known, ok := signatures.Load(text); ok {
		return known.([]byte)
	}
	signature := ed25519.Sign(exploredVoterKey(voter), message)
	signatures.Store(text, signature)
	return signature
}

var signedVotes memo[[]byte]

func signedVote(voter string, who lease.Incarnation, set uint64) []byte {
	var room [64]byte
	key := append(room[:0], voter...)
	node := who.Node.As16()
	key = append(append(key, 0), node[:]...)
	key = binary.AppendUvarint(binary.AppendUvarint(key, who.Join), set)
	return signedVotes.of(key, func() []byte { return signedBy(voter, event.VoteMessage(exploredLog, who.Node, who.Join, set)) })
}

// isSignedVote compares with what the voter signs; checking the signature costs more than all else.
func isSignedVote(v lease.Vote) bool {
	return bytes.Equal(v.Signature, signedVote(v.Voter, v.Dead, v.Set))
}
