package campaign

import (
	"fmt"
	"time"
)

// kind is a kind of trouble that a run may have: it begins now, and may end later by a line of its own.
type kind struct {
	name  string
	write func(g *generator)
}

// kindsOfTrouble are all that there are.
var kindsOfTrouble = []kind{
	{"a node loses power", func(g *generator) { g.off(g.node()) }},
	{"a voter's host loses power", func(g *generator) { g.off(g.voter()) }},
	{"an agent crashes", func(g *generator) {
		h := g.node()
		g.do("crash agent %s", h)
		g.later("start agent %s", h)
	}},
	{"a voter crashes", func(g *generator) {
		h := g.voter()
		g.do("crash voter %s", h)
		g.later("start voter %s", h)
	}},
	{"a node stands still", func(g *generator) { g.do("freeze %s %v", g.node(), g.spell()) }},
	{"a voter's host stands still", func(g *generator) { g.do("freeze %s %v", g.voter(), g.spell()) }},
	{"a host is not heard by another", func(g *generator) {
		from, to := g.host(), g.host()
		if from != to {
			g.do("cut %s to %s", from, to)
			g.later("heal %s", from)
		}
	}},
	{"a host is cut off", func(g *generator) {
		h := g.host()
		g.do("cut %s from all", h)
		g.later("heal %s", h)
	}},
	{"a host is cut off from the log", func(g *generator) {
		h := g.host()
		g.do("cut %s from log", h)
		g.later("heal %s", h)
	}},
	{"what a host says is late", func(g *generator) {
		from, to := g.host(), g.host()
		g.do("slow link %s to %s %v", from, to, g.between(time.Millisecond, time.Second))
		g.later("slow link %s to %s 0s", from, to)
	}},
	{"the log has no leader", func(g *generator) { g.do("log leader-gone %v", g.between(time.Second, 10*time.Second)) }},
	{"followers of the log hang", func(g *generator) {
		g.do("log hang %s %v", g.host(), g.between(100*time.Millisecond, 12*time.Second))
	}},
	{"followers of the log lag", func(g *generator) {
		h := g.host()
		g.do("log lag %s %v", h, g.between(time.Millisecond, time.Second))
		g.later("log lag %s 0s", h)
	}},
	{"connections to the log break", func(g *generator) { g.do("log reset %s", g.host()) }},
	{"the log's network is bad", func(g *generator) {
		g.do("log bad one-in=5")
		g.later("log bad one-in=0")
	}},
	{"proofs of death are not stored", func(g *generator) { g.do("log hold NodeFailed %v", g.spell()) }},
	{"the log is purged", func(g *generator) { g.do("log purge") }},
	{"the log gets an unknown fact", func(g *generator) { g.do("log append unknown") }},
	{"datagrams get lost and doubled", func(g *generator) {
		g.do("lose datagrams one-in=%d", 2+g.Pick("sizes", 10))
		g.do("double datagrams one-in=5")
		g.later("lose datagrams one-in=0")
		g.later("double datagrams one-in=0")
	}},
	{"a link loses its carrier", func(g *generator) {
		h := g.node()
		g.do("link down %s", h)
		g.later("link up %s", h)
	}},
	{"a link loses frames", func(g *generator) {
		h := g.node()
		g.do("drop frames %s %s", h, []string{"sent", "received", "both"}[g.Pick("sizes", 3)])
		g.later("drop frames %s none", h)
	}},
	{"frames leave late", func(g *generator) {
		h := g.node()
		g.do("stall frames %s %v", h, g.between(time.Millisecond, time.Second))
		g.later("stall frames %s 0s", h)
	}},
	{"a disk is slow", func(g *generator) {
		h := g.host()
		g.do("slow disk %s %v", h, g.between(time.Millisecond, 500*time.Millisecond))
		g.later("slow disk %s 0s", h)
	}},
	{"a clock is as wrong as it may be", func(g *generator) {
		g.do("clock %s %s", g.host(), []string{"fast", "slow", "true"}[g.Pick("sizes", 3)])
	}},
	{"a node leaves and returns", func(g *generator) {
		h := g.node()
		g.do("leave %s", h)
		g.later("start agent %s", h)
	}},
	{"a node is drained", func(g *generator) {
		h := g.node()
		g.do("drain %s", h)
		g.later("undrain %s", h)
	}},
	{"the cluster file drops a node, and has it again", func(g *generator) {
		h := g.node()
		g.do("undeclare %s", h)
		g.later("declare %s", h)
	}},
	{"a rebalance", func(g *generator) { g.do("rebalance") }},
	{"a Service comes and goes", func(g *generator) {
		g.services++
		name := fmt.Sprintf("default/brief-%d", g.services)
		g.do("service %s", name)
		g.later("delete service %s", name)
	}},
	{"a voter is replaced", func(g *generator) { g.do("replace voter %s", g.voter()) }},
	{"a node becomes a voter, and is one no more", func(g *generator) {
		h := g.node()
		g.do("add voter %s", h)
		g.later("remove voter %s", h)
	}},
}

func (g *generator) off(host string) {
	g.do("fail %s", host)
	g.later("start %s", host)
}
