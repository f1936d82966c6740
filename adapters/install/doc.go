// Package install prints what runs viplog on the hosts of a cluster: Kubernetes' objects, or a unit for systemd. The same options give the same bytes.
//
// # Who runs where
//
// A host's private key is to be on that host alone. No volume of a Pod can be chosen by the node that the Pod comes to, and a Pod that fetches its
// host's Secret by itself needs the right to read those of all others. So there are two ways, and each keeps a key from every other host:
//
//   - On hosts: the operator copies to each host its folder, as on plain hosts, and Pods mount it. No key is ever in the API server. One
//     DaemonSet is for hosts that are controllers, one for the others, and both are updated by one host at a time.
//   - In Secrets, by reference: each host has a DaemonSet of its own, for that node by name, which mounts that host's Secret. A kubelet may
//     read only Secrets of Pods that are bound to its node (the Node authorizer). Nothing orders the updates of several
//     DaemonSets, and all hosts at once would be an outage: so a Pod takes a new template when it is deleted (OnDelete), which is the operator's.
//
// The first is the default. In both hosts.json, which is public, is a ConfigMap, so that who joins or leaves is known everywhere within a minute.
//
// One process has all roles of a host: two would want the same ports. A Pod of a host that is a controller talks to the API server; a
// Pod of any other has no token and no right.
//
// # Rights
//
// Rights lists every verb by itself with what it is needed for; roles are made of that list, and a test takes each away.
package install
