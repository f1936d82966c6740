package scenario

import (
	"slices"
	"time"

	"viplog/core/ledger"
	"viplog/sim"
)

// hostVerbs are of one host and its processes. What they do says why there was nothing to do, "" if it was done.
var hostVerbs = []Verb{
	{
		Name: "fail", Form: "fail HOST", Says: "The host loses its power", Example: "at 10s fail lb-1",
		parse: onHost(anyHost, func(r *run, h *sim.Host) string {
			return unless(h.Up(), "it has no power", func() { r.world.PowerOff(h) })
		}),
	},
	{
		Name: "start", Form: "start HOST", Says: "The host has power again and boots", Example: "at 30s start lb-1",
		parse: onHost(anyHost, func(r *run, h *sim.Host) string {
			return unless(!h.Up(), "it has power", func() { r.world.PowerOn(h) })
		}),
	},
	{
		Name: "crash agent", Form: "crash agent HOST", Says: "The node's process ends; its kernel forwards still", Example: "at 10s crash agent lb-1",
		parse: onHost(aNode, func(r *run, h *sim.Host) string {
			return unless(h.AgentRuns(), "its agent does not run", func() { r.world.CrashAgent(h) })
		}),
	},
	{
		Name: "start agent", Form: "start agent HOST", Says: "It starts again, after a crash or leave", Example: "at 30s start agent lb-1",
		parse: onHost(aNode, func(r *run, h *sim.Host) string {
			return unless(h.Up() && !h.AgentRuns(), "its agent runs or it has no power", func() { r.world.StartAgent(h) })
		}),
	},
	{
		Name: "crash voter", Form: "crash voter HOST", Says: "The voter's process ends", Example: "at 10s crash voter cp-1",
		parse: onHost(aVoter, func(r *run, h *sim.Host) string {
			return unless(h.VoterRuns(), "its voter does not run", func() { r.world.CrashVoter(h) })
		}),
	},
	{
		Name: "start voter", Form: "start voter HOST", Says: "It starts again", Example: "at 30s start voter cp-1",
		parse: onHost(aVoter, func(r *run, h *sim.Host) string {
			return unless(h.Up() && !h.VoterRuns(), "its voter runs or it has no power", func() { r.world.StartVoter(h) })
		}),
	},
	{
		Name: "replace voter", Form: "replace voter HOST", Says: "The voter's disk is lost: another voter takes its place", Example: "at 10s replace voter cp-1",
		parse: onHost(aVoter, func(r *run, h *sim.Host) string {
			before := h.VoterID()
			r.world.ReplaceVoter(h)
			return unless(h.VoterID() != before, "an earlier change of voters is under way", func() {})
		}),
	},
	{
		Name: "freeze", Form: "freeze HOST D", Says: "All its processes stand still for a while; its kernel and its clock go on", Example: "at 10s freeze lb-1 3s",
		parse: forAWhile(anyHost, func(r *run, h *sim.Host, d time.Duration) string {
			return unless(h.Up() && !h.Frozen(), "it stands still or has no power", func() { r.world.Freeze(h, d) })
		}),
	},
	{
		Name: "leave", Form: "leave HOST", Says: "The node's agent hands over and ends, as on SIGTERM", Example: "at 10s leave lb-1",
		parse: onHost(aNode, func(r *run, h *sim.Host) string {
			return unless(h.AgentRuns(), "its agent does not run", func() { r.world.Leave(h) })
		}),
	},
	{
		Name: "undeclare", Form: "undeclare HOST", Says: "The cluster file does not declare the node any more: its addresses move, one hand-over each", Example: "at 10s undeclare lb-1",
		parse: onHost(aNode, func(r *run, h *sim.Host) string {
			return unless(h.IsDeclared() && r.othersDeclared(h), "it is not declared, or is the last one that is", func() { r.world.Declare(h, false) })
		}),
	},
	{
		Name: "declare", Form: "declare HOST", Says: "It declares it again", Example: "at 30s declare lb-1",
		parse: onHost(aNode, func(r *run, h *sim.Host) string {
			return unless(!h.IsDeclared(), "it is declared", func() { r.world.Declare(h, true) })
		}),
	},
	{
		Name: "suspend", Form: "suspend HOST D", Says: "The host stands still and its clock with it: beyond what is promised, so that a violation is inconclusive", Example: "at 10s suspend lb-1 3s",
		parse: forAWhile(anyHost, func(r *run, h *sim.Host, d time.Duration) string {
			return unless(h.Up() && !h.Frozen(), "it stands still or has no power", func() { r.world.Suspend(h, d) })
		}),
	},
	{
		Name: "clock", Form: "clock HOST fast|slow|true", Says: "The host's clocks run one in a hundred fast, or slow, which is the most that is allowed, or true", Example: "at 10s clock lb-1 fast",
		parse: func(a *args, _ line) action {
			name := a.host(anyHost)
			parts := map[string]int64{"fast": 100, "slow": -100}[a.literal("fast", "slow", "true")]
			return func(r *run) { r.world.SetRate(r.world.Host(name), parts) }
		},
	},
	{
		Name: "slow disk", Form: "slow disk HOST D", Says: "Each sync of the host takes that much longer; 0s ends it", Example: "at 10s slow disk cp-1 200ms",
		parse: forAWhile(anyHost, func(r *run, h *sim.Host, d time.Duration) string {
			r.world.SlowDisk(h, d)
			return ""
		}),
	},
	{
		Name: "data-plane", Form: "data-plane HOST up|late D|starting|dead", Says: "What the node's kernel forwards by (kube-proxy): serves each address at once; D after its fact; has served nothing since a boot; or is dead for long, and the kernel forwards as it did", Example: "at 10s data-plane lb-1 late 2s",
		parse: parseDataPlane,
	},
	{
		Name: "corrupt", Form: "corrupt HOST", Says: "The node's agent reads the next fact wrong, as when a bit of its memory flips: what it announces then is beyond what is promised, so that a violation is inconclusive", Example: "at 10s corrupt lb-1",
		parse: onHost(aNode, func(r *run, h *sim.Host) string {
			return unless(h.AgentRuns(), "its agent does not run", func() { r.world.CorruptLedger(h) })
		}),
	},
	{
		Name: "clone", Form: "clone HOST", Says: "A copy of the node's host runs beside it: the same address, identity and disk, another kernel and MAC; it is called HOST-clone", Example: "at 10s clone lb-1",
		parse: func(a *args, _ line) action {
			name := a.host(aNode)
			if a.err == nil && !slices.ContainsFunc(a.parser.hosts, func(h sim.HostSpec) bool { return h.Name == name+"-clone" }) {
				a.parser.hosts = append(a.parser.hosts, sim.HostSpec{Name: name + "-clone", Node: true})
			}
			return func(r *run) {
				if r.world.Host(name+"-clone") != nil {
					r.idle(name, "there is a clone already")
					return
				}
				r.world.Clone(r.world.Host(name))
			}
		},
	},
	{
		Name: "upgrade", Form: "upgrade HOST rules=N", Says: "The host's programs are replaced by those that know rules up to N, and start anew", Example: "at 10s upgrade lb-1 rules=1",
		parse: func(a *args, _ line) action {
			name := a.host(anyHost)
			given := a.options("rules")
			rules := a.limited(given, "rules", 0, 0, ledger.RulesKnown)
			if _, ok := given["rules"]; !ok {
				a.fail("rules=N is missing; write: %s", a.form)
			}
			return func(r *run) { r.world.Upgrade(r.world.Host(name), uint64(rules)) }
		},
	},
	{
		Name: "add voter", Form: "add voter HOST", Says: "The host is to have a voter; controllers walk there", Example: "at 10s add voter lb-1",
		parse: func(a *args, _ line) action {
			name := a.host(anyHost)
			for i := range a.parser.hosts {
				a.parser.hosts[i].Voter = a.parser.hosts[i].Voter || a.parser.hosts[i].Name == name
			}
			return func(r *run) {
				if r.world.Host(name).IsVoter() {
					r.idle(name, "it is to have one already")
					return
				}
				r.world.SetVoter(r.world.Host(name), true)
			}
		},
	},
	{
		Name: "remove voter", Form: "remove voter HOST", Says: "The host is to have no voter; controllers walk there", Example: "at 10s remove voter cp-1",
		parse: onHost(anyHost, func(r *run, h *sim.Host) string {
			if !h.IsVoter() {
				return "it is to have none already"
			}
			r.world.SetVoter(h, false)
			return unless(!h.IsVoter(), "another voter has lost its disk and is not replaced", func() {})
		}),
	},
	{
		Name: "repair", Form: "repair", Says: "Everything is healed, every host has power and every process runs", Example: "at 60s repair",
		parse: func(*args, line) action { return func(r *run) { r.world.Repair() } },
	},
}

func parseDataPlane(a *args, _ line) action {
	name := a.host(aNode)
	state, late := a.literal("up", "late", "starting", "dead"), time.Duration(0)
	if state == "late" {
		late = a.duration("D")
	}
	return func(r *run) {
		switch h := r.world.Host(name); state {
		case "up":
			r.world.HealDataPlane(h)
		case "late":
			r.world.LateDataPlane(h, late)
		case "starting":
			r.world.StartDataPlane(h)
		default:
			r.world.LoseDataPlane(h)
		}
	}
}

// unless does something if it can be done, else it says why not.
// othersDeclared tells whether the cluster file has another node: a cluster without any is none.
func (r *run) othersDeclared(h *sim.Host) bool {
	return slices.ContainsFunc(r.world.Hosts, func(other *sim.Host) bool { return other != h && other.IsNode() && other.IsDeclared() })
}

func unless(can bool, why string, do func()) string {
	if !can {
		return why
	}
	do()
	return ""
}

func onHost(of role, do func(*run, *sim.Host) string) func(*args, line) action {
	return func(a *args, _ line) action {
		name := a.host(of)
		return func(r *run) {
			if why := do(r, r.world.Host(name)); why != "" {
				r.idle(name, "%s", why)
			}
		}
	}
}

func forAWhile(of role, do func(*run, *sim.Host, time.Duration) string) func(*args, line) action {
	return func(a *args, l line) action {
		name, d := a.host(of), a.duration("D")
		return func(r *run) {
			if why := do(r, r.world.Host(name), d); why != "" {
				r.idle(name, "%s", why)
			}
		}
	}
}
