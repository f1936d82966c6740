package install

import (
	"fmt"
	"strings"
)

// DefaultBinary is where a unit expects viplog.
const DefaultBinary = "/usr/local/bin/viplog"

// Unit is a service of systemd for a host that is no Pod's: with Options' folders, NATS, HTTP and front end. It has the rights that a node
// needs; what a host is for its identity says.
func Unit(o Options, binary string) string {
	o = o.withDefaults()
	command := []string{binary + " run", "--identity=" + o.IdentityFolder, "--data=" + o.DataFolder}
	if o.HTTP.IsValid() {
		command = append(command, "--http="+o.HTTP.String())
	}
	if o.NATS != "" {
		command = append(command, "--nats="+o.NATS)
	}
	if o.TrustFeed {
		command = append(command, "--trust-feed")
	}
	command = append(command, o.DataPlane...)
	capabilities, writes := "CAP_NET_RAW CAP_SYS_NICE", []string{o.DataFolder}
	if o.Frontend != nil {
		capabilities = "CAP_NET_ADMIN " + capabilities
		command, writes = append(command, o.Frontend.Args...), append(writes, o.Frontend.Folders...)
	}
	for i, word := range command[1:] {
		command[1+i] = quoted(word)
	}
	for i, path := range writes { // without one that is not there the unit starts all the same
		writes[i] = quoted("-" + path)
	}
	state := "" // systemd makes it where it is in the usual place
	if below, is := strings.CutPrefix(o.DataFolder, "/var/lib/"); is {
		state = "StateDirectory=" + quoted(below) + "\nStateDirectoryMode=0700\n"
	}
	return fmt.Sprintf(unitText, strings.Join(command, " \\\n  "), capabilities, strings.Join(writes, " "), state)
}

// quoted is a word as systemd reads words: % begins a specifier, $ a variable.
func quoted(word string) string {
	word = strings.NewReplacer("%", "%%", "$", "$$", `\`, `\\`, `"`, `\"`).Replace(word)
	if strings.ContainsAny(word, " \t'\"\\;") {
		return `"` + word + `"`
	}
	return word
}

// unitText is for a process that is root with no right but those of packet sockets and priority, so that it can read keys which are root's alone.
// A stop may take as long as a hand-over. Restarts are at once and without end: within a lease the next process goes on as the same node.
const unitText = `# Written by ` + "`viplog manifests --systemd`" + `; /etc/systemd/system/viplog.service is its place.
[Unit]
Description=viplog, a bundled load balancer
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart=%[1]s
Restart=always
RestartSec=100ms
WatchdogSec=5s
TimeoutStartSec=60s
TimeoutStopSec=20s
KillMode=mixed
OOMScoreAdjust=-900
LimitNOFILE=65536

# What it may do.
CapabilityBoundingSet=%[2]s
AmbientCapabilities=%[2]s
NoNewPrivileges=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_PACKET AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
UMask=0077

# What it may see and write.
ProtectSystem=strict
ReadWritePaths=%[3]s
%[4]sRuntimeDirectory=viplog
RuntimeDirectoryPreserve=yes
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes

[Install]
WantedBy=multi-user.target
`
