package staticpod

import (
	"cmp"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Local is what only the node knows.
type Local struct {
	Address    netip.Addr // the node, as the plan names it
	Interface  string     // that holds Address
	PrefixBits int        // of Address there: its subnet
}

// Options are the same on each node. Images are required; zero values of the others have defaults.
type Options struct {
	// Keepalived is an image with Keepalived 2.2.7 or newer, sh, and one of curl, wget and bash.
	Keepalived string
	// HAProxy is an image with HAProxy 2.6 or newer.
	HAProxy string
	// Mirrors say where images come from instead. The first that fits is taken.
	Mirrors []Mirror
	// KeepalivedResources and HAProxyResources are what the containers get; none: requests that both need, and a limit of memory.
	KeepalivedResources, HAProxyResources corev1.ResourceRequirements
	// MonitorPort is where HAProxy tells of its health, on 127.0.0.1 alone; 0: DefaultMonitorPort.
	MonitorPort uint16
	// ConfigFolder gets the configurations; "": DefaultConfigFolder. It belongs to this package, with all that is in it.
	ConfigFolder string
	// ManifestFolder is the kubelet's staticPodPath; "": DefaultManifestFolder. It has to be there, on the file system of the folder that it is in.
	ManifestFolder string
	// RunFolder gets sockets and what else ends with the machine; "": DefaultRunFolder.
	RunFolder string
}

// Mirror is a registry, or a part of one, that is asked instead of another: images Of/x come from At/x.
type Mirror struct {
	Of string // like registry.example.com; docker.io for images without a registry
	At string // like 10.200.0.50/library
}

// What Options are where they are not given. The port is beside those that GDCV's nodes use (11000, 11001).
const (
	DefaultMonitorPort    = 11010
	DefaultConfigFolder   = "/etc/viplog/frontend"
	DefaultManifestFolder = "/etc/kubernetes/manifests"
	DefaultRunFolder      = "/run/viplog/frontend"
)

func (o Options) withDefaults() Options {
	o.MonitorPort = cmp.Or(o.MonitorPort, DefaultMonitorPort)
	o.ConfigFolder = cmp.Or(o.ConfigFolder, DefaultConfigFolder)
	o.ManifestFolder = cmp.Or(o.ManifestFolder, DefaultManifestFolder)
	o.RunFolder = cmp.Or(o.RunFolder, DefaultRunFolder)
	return o
}

// Folders are those that a Keeper has to be able to write to, sorted: each holds one of the options' folders, beside which a file lies until it is whole.
func Folders(o Options) []string {
	o = o.withDefaults()
	all := []string{filepath.Dir(o.ManifestFolder), filepath.Dir(o.ConfigFolder), filepath.Dir(o.RunFolder)}
	slices.Sort(all)
	return slices.Compact(all)
}

// image is where an image comes from.
func (o Options) image(name string) string {
	full := name
	if host, _, found := strings.Cut(name, "/"); !found {
		full = "docker.io/library/" + name
	} else if !strings.ContainsAny(host, ".:") && host != "localhost" {
		full = "docker.io/" + name
	}
	for _, m := range o.Mirrors {
		if rest, fits := strings.CutPrefix(full, m.Of+"/"); fits {
			return m.At + "/" + rest
		}
	}
	return name
}

// Names of the files.
const (
	nameKeepalived = "keepalived"
	nameHAProxy    = "haproxy"

	fileKeepalived = "keepalived.conf"
	fileHAProxy    = "haproxy.cfg"
	fileCheck      = "check-haproxy"
	fileReload     = "reload" // of Keepalived: when it reads its configuration again
	fileRefused    = "refused.log"
	filePID        = "pid"
	fileChildPID   = "vrrp.pid"
	fileSocket     = "master.sock"
	fileLoaded     = "loaded" // which configuration a program has loaded, or has been told to
)

func (o Options) config(name string) string { return filepath.Join(o.ConfigFolder, name) }
func (o Options) manifest(pod string) string {
	return filepath.Join(o.ManifestFolder, "viplog-"+pod+".yaml")
}
func (o Options) run(pod, name string) string { return filepath.Join(o.RunFolder, pod, name) }

// paths are all files that a node may have, configurations first.
func (o Options) paths() []string {
	return []string{
		o.config(fileCheck), o.config(fileHAProxy), o.config(fileKeepalived), o.manifest(nameHAProxy), o.manifest(nameKeepalived),
	}
}

// runs are the files that end with the machine, but for HAProxy's socket, which is HAProxy's own.
func (o Options) runs() []string {
	return []string{
		o.run(nameHAProxy, fileLoaded), o.run(nameKeepalived, fileLoaded), o.run(nameKeepalived, fileReload), o.run(nameKeepalived, fileRefused),
		o.run(nameKeepalived, filePID), o.run(nameKeepalived, fileChildPID),
	}
}
