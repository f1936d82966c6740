// Package staticpod writes the control plane's front end on a node that carries its VIP: the configurations of Keepalived and HAProxy and the
// manifests of their Pods, which the kubelet runs without an API server. Render is pure and refuses what would break a segment; a Keeper keeps
// the files as they were rendered, and the VIP off a node on which Keepalived is gone.
//
// # Reload, not restart
//
// A change of the plan reloads both programs, and no manifest holds a hash of their configurations. The plan changes on each member within the
// same second, so a hash would have every kubelet restart its Pod at once: nobody would hold the VIP for the stop of a Pod, its start and the
// three advertisements that a backup waits for, and each client would lose its watches, since only the HAProxy that accepted a connection knows it.
//
//   - HAProxy is asked by its master's socket, which is a file of the node. The master starts a worker with the new configuration, which gets the
//     listening sockets, and the old one keeps its connections: a watch outlives a node that is added or removed. If the configuration is
//     wrong, the old worker goes on.
//   - Keepalived looks at a file that holds the time of the next reload (reload_time_file). With other peers or another VIP the master stays
//     master all the while, and a configuration that is wrong leaves it as it is. From one member to several, and with another router id, Keepalived
//     begins anew, and nobody has the VIP for 3 s: connections stand still for as long, and go on.
//
// Neither needs a signal, so neither Pod shares a process namespace, and a viplog in a container can do it as well. What cannot be reloaded (images,
// arguments, resources) is in the manifest, and a change of it restarts the Pod, as the kubelet does with static Pods: one node at a time, please.
//
// A folder that is deleted is another matter than a file: containers have the old one mounted. Its Pods are started anew, by taking their manifests away
// and putting them back.
//
// # Two Pods
//
// HAProxy may restart without Keepalived, and the other way round. Both are root, without any capability but the few that they need. Keepalived's check
// asks the HAProxy of its own node by a script, with whichever of curl, wget and bash its image has; one of them is in every image that we know of, and
// none is in all. Paths are the same in the containers and on the node, so what a manifest runs can be run by hand too.
//
// # The VIP of a dead Keepalived
//
// Keepalived takes its VIP off when it ends. When its parent or its child alone is killed, the other one does so within 50 ms (2.2.7, measured); when
// both are, the VIP stays until Keepalived starts again, which begins with taking it off, also from a former life. A kubelet that waits
// between restarts, or is dead, is later than the 3 s after which another member takes over, and two nodes would answer. So a Keeper looks too: who
// speaks VRRP has a raw socket of that protocol, which /proc shows for the network namespace, whatever the process namespace; while there is none, no
// VIP may be there. It acts at the second look, for a reload opens the socket anew.
//
// # What a kubelet makes of it
//
// Tests hold the manifests to a real kubelet with containerd, in a host of fixtures/lab: that Pods are ready, have the rights that their manifests say and
// no others, are started anew when they are killed, and end with their manifests.
package staticpod
