package kube

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/instance"
)

// oneNode is the access mode of a volume that only the pods of one node can use.
const oneNode = "ReadWriteOnce"

// volumeSize is the size of a volume whose need names none.
const volumeSize = "1Gi"

// volumesOf lists the names of the volumes among an instance's needs that a service mounts,
// sorted.
func (r *renderer) volumesOf(s instance.Service) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(r.Needs)) {
		need := r.Needs[name]
		has := len(need.Components) > 0 || slices.Contains(s.Component.Volumes, need.Path)
		if need.Kind == "volume" && has && instance.Uses(need.Components, s.ComponentName) {
			names = append(names, name)
		}
	}
	return names
}

// keepsData reports whether a service writes to a volume that only one node can use. If so, the
// old pod must end before a new one starts. It is an error if such a service has several
// replicas.
func (r *renderer) keepsData(s instance.Service) (bool, error) {
	for _, name := range r.volumesOf(s) {
		if r.Needs[name].Access != oneNode {
			continue
		}
		if s.Replicas > 1 {
			return false, fmt.Errorf("service %s has %d replicas, and its volume %s is %s: set replicas = 1, or access = \"ReadWriteMany\", in the definition", s.Name, s.Replicas, name, oneNode)
		}
		return true, nil
	}
	return false, nil
}

// addVolumes adds what a service mounts, because the root file system is read-only: its
// volumes, and empty folders where it writes, or where it has a volume without a need.
func (r *renderer) addVolumes(pod *podSpec, s instance.Service) {
	mounts := map[string]volumeMount{}
	for _, name := range r.volumesOf(s) {
		need := r.Needs[name]
		readOnly := need.Access == "ReadOnlyMany"
		volumeName := "need-" + instance.NamePart(name)
		pod.Volumes = append(pod.Volumes, volume{Name: volumeName, PersistentVolumeClaim: &claimSource{r.ObjectName(name), readOnly}})
		mounts[need.Path] = volumeMount{Name: volumeName, MountPath: need.Path, ReadOnly: readOnly}
		// The volume's files belong to the pod's group, or to root if it has none.
		security := &pod.SecurityContext
		if security.FSGroup = security.RunAsGroup; security.FSGroup == nil {
			security.FSGroup = security.RunAsUser
		}
		security.FSGroupChangePolicy = "OnRootMismatch"
	}
	for _, path := range slices.Sorted(slices.Values(slices.Concat(s.Component.Volumes, s.Component.Writable))) {
		if _, mounted := mounts[path]; mounted {
			continue
		}
		name := instance.Shortened("empty-"+instance.NamePart(strings.Trim(path, "/")), 63)
		pod.Volumes = append(pod.Volumes, volume{Name: name, EmptyDir: &struct{}{}})
		mounts[path] = volumeMount{Name: name, MountPath: path}
	}
	for _, path := range slices.Sorted(maps.Keys(mounts)) {
		pod.Containers[0].VolumeMounts = append(pod.Containers[0].VolumeMounts, mounts[path])
	}
}

// addClaims writes a claim for each volume. Deleting a claim deletes the data, so no
// StatefulSet owns the claims. A StatefulSet's claims could not change later, either.
func (r *renderer) addClaims() error {
	used := map[string]bool{}
	for _, s := range r.Services {
		for _, name := range r.volumesOf(s) {
			used[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(used)) {
		if err := r.add(r.claim(name, r.Needs[name]), claimComment(r.Needs[name])); err != nil {
			return err
		}
	}
	return nil
}

func (r *renderer) claim(name string, need describe.Need) *claim {
	o := &claim{header: r.header("v1", "PersistentVolumeClaim", name)}
	o.Spec.AccessModes = []string{need.Access}
	o.Spec.Resources.Requests = map[string]string{"storage": cmp.Or(need.Size, volumeSize)}
	return o
}

func claimComment(need describe.Need) string {
	comment := "Deleting this deletes the data."
	if need.Access == "ReadOnlyMany" {
		comment += " The app does not write it: fill it by other means."
	}
	if need.Description != "" {
		comment = need.Description + ". " + comment
	}
	return comment
}
