package scenario

import (
	"time"

	"viplog/core/trace"
	"viplog/sim"
)

// logVerbs are troubles of the log.
var logVerbs = []Verb{
	{
		Name: "log bad", Form: "log bad one-in=N", Says: "Of requests, answers and pushes one in N is lost, doubled or stale, by chance; 0 ends it", Example: "at 10s log bad one-in=5",
		parse: func(a *args, _ line) action {
			text, ok := a.options("one-in")["one-in"]
			if !ok {
				a.fail("one-in=N is missing; write: %s", a.form)
			}
			n := a.countOf("one-in", text)
			return func(r *run) { r.world.BadLog(n) }
		},
	},
	{
		Name: "log hold", Form: "log hold FACT D", Says: "Facts of a kind are not stored for a while: each append is lost on its way", Example: "at 10s log hold NodeFailed 3s",
		parse: func(a *args, _ line) action {
			kind := a.fact()
			d := a.duration("D")
			return func(r *run) { r.world.HoldAppends(kind, d) }
		},
	},
	{
		Name: "log purge", Form: "log purge", Says: "A snapshot is made and everything before it dropped: who has not folded it goes on from the snapshot", Example: "at 10s log purge",
		parse: func(*args, line) action { return func(r *run) { r.world.PurgeLog() } },
	},
	{
		Name: "log replace", Form: "log replace", Says: "The log is lost with all facts, and another one begins: the cluster and the Services are declared again", Example: "at 10s log replace",
		parse: func(*args, line) action { return func(r *run) { r.world.ReplaceLog() } },
	},
	{
		Name: "log append unknown", Form: "log append unknown", Says: "A fact is stored of a kind that no program knows", Example: "at 10s log append unknown",
		parse: func(*args, line) action { return func(r *run) { r.world.AppendUnknown() } },
	},
	{
		Name: "log leader-gone", Form: "log leader-gone D", Says: "The log has no leader for a while: nothing is stored", Example: "at 9s log leader-gone 8s",
		parse: func(a *args, _ line) action {
			d := a.duration("D")
			return func(r *run) { r.world.LeaderGone(d) }
		},
	},
	{
		Name: "log hang", Form: "log hang HOST D", Says: "What a host follows of the log stands still for a while", Example: "at 10s log hang lb-2 3s",
		parse: forAWhile(anyHost, func(r *run, h *sim.Host, d time.Duration) string {
			r.world.HangLog(h, d)
			return ""
		}),
	},
	{
		Name: "log lag", Form: "log lag HOST D", Says: "All that a host follows of the log comes later, until a heal or 0s", Example: "at 10s log lag lb-2 300ms",
		parse: forAWhile(anyHost, func(r *run, h *sim.Host, d time.Duration) string {
			r.world.LagLog(h, d)
			return ""
		}),
	},
	{
		Name: "log reset", Form: "log reset HOST", Says: "The host's connections to the log break and are made anew", Example: "at 10s log reset lb-2",
		parse: onHost(anyHost, func(r *run, h *sim.Host) string {
			r.world.ResetLog(h)
			return ""
		}),
	},
	{
		Name: "log lose", Form: "log lose ack|request", Says: "The answer to the next append is lost, or the append itself", Example: "at 10s log lose ack",
		parse: func(a *args, _ line) action {
			what := a.literal("ack", "request")
			return func(r *run) {
				r.world.Tell("log", trace.Note{Kind: trace.Fault, Text: "loses the next append's " + what})
				if what == "ack" {
					r.world.Stream.LoseNextAck()
				} else {
					r.world.Stream.LoseNextRequest()
				}
			}
		},
	},
}
