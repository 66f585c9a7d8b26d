package kube

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	cnpgv1 "github.com/cloudnative-pg/api/pkg/api/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/libresh/libre/internal/describe"
)

// immutable returns the parts of an object that Kubernetes does not allow to change: see
// ValidateDeploymentUpdate and similar functions in k8s.io/kubernetes/pkg/apis.
func immutable(o any) any {
	switch o := o.(type) {
	case *appsv1.Deployment:
		return o.Spec.Selector
	case *appsv1.StatefulSet:
		spec := *o.Spec.DeepCopy()
		spec.Replicas, spec.Template = nil, corev1.PodTemplateSpec{}
		return spec
	case *batchv1.Job:
		return o.Spec
	case *corev1.PersistentVolumeClaim:
		return o.Spec
	case *corev1.Service:
		return o.Spec.ClusterIP
	case *cnpgv1.Cluster: // its webhook refuses a smaller volume, and a new image may be a new major version
		return []any{o.Spec.StorageConfiguration, o.Spec.ImageName, o.Spec.Bootstrap}
	case *cnpgv1.Database:
		return []any{o.Spec.ClusterRef, o.Spec.Name}
	}
	return nil
}

// nodes holds objects by kind and name, as kubectl apply leaves them.
type nodes struct {
	t       *testing.T
	objects map[string]any
	created []string
}

func (c *nodes) apply(a *describe.Application, r run) {
	c.t.Helper()
	for _, file := range plain(c.t, a, r) {
		o := decode(c.t, file)
		if o == nil {
			continue
		}
		key := reflect.TypeOf(o).Elem().Name() + "/" + o.(metav1.Object).GetName()
		if before, exists := c.objects[key]; !exists {
			c.created = append(c.created, key)
		} else if !reflect.DeepEqual(immutable(before), immutable(o)) {
			c.t.Errorf("%s %s changes what is immutable of %s", a.Spec.Version, file.Name, key)
		}
		c.objects[key] = o
	}
}

// release returns the app in a version. Its images differ from those of other releases.
func release(t *testing.T, name, version string, packageVersion int, digit string) *describe.Application {
	a := app(t, name)
	a.Spec.Version, a.Spec.PackageVersion = version, packageVersion
	for name, c := range a.Spec.Components {
		c.Image.Digest = "sha256:" + strings.Repeat(digit, 64)
		a.Spec.Components[name] = c
	}
	return a
}

func TestUpgradesChangeNothingImmutableAndMigrateOncePerAppVersion(t *testing.T) {
	for _, name := range []string{"guestbook", "files", "servers"} {
		r := everything(app(t, name))
		r.kube.Needs = "cnpg"
		c := &nodes{t: t, objects: map[string]any{}}
		c.apply(release(t, name, "5.4.0", 1, "a"), r)
		first := len(c.created)
		r.kube.UpgradeFrom = "5.4.0"
		c.apply(release(t, name, "5.4.0", 2, "b"), r)
		if len(c.created) != first {
			t.Errorf("%s: a new package version makes %v", name, c.created[first:])
		}
		c.apply(release(t, name, "5.4.1", 1, "c"), r)
		jobs := map[string]int{}
		for _, key := range c.created {
			if job, isJob := strings.CutPrefix(key, "Job/"+name+"-"); isJob {
				service, _, _ := strings.Cut(job, "-5-4-")
				jobs[service]++
			}
		}
		want := map[string]int{"migrate": 2}
		if name == "files" {
			want["create-administrator"] = 1
		}
		if !maps.Equal(jobs, want) {
			t.Errorf("%s: jobs %v, want %v", name, jobs, want)
		}
		if added := c.created[first:]; len(added) != 1 || !strings.HasPrefix(added[0], "Job/"+name+"-migrate-5-4-1-") {
			t.Errorf("%s: the upgrade makes %v", name, added)
		}
	}
}

// A job with a changed template has another name. The name fits into a label.
func TestJobsAreNamedByTheirTemplates(t *testing.T) {
	name := func(change func(*describe.Application)) string {
		a := app(t, "files")
		change(a)
		for _, file := range plain(t, a, everything(a)) {
			if job, isJob := decode(t, file).(*batchv1.Job); isJob && strings.HasPrefix(file.Name, beforeUpgrade) {
				return job.Name
			}
		}
		t.Fatal("no job")
		return ""
	}
	names := []string{
		name(func(*describe.Application) {}),
		name(func(a *describe.Application) { a.Spec.Version = "5.4.0+build.7" }),
		name(func(a *describe.Application) { a.Spec.Version = strings.Repeat("1.", 50) + "0" }),
		name(func(a *describe.Application) { a.Spec.Needs["redis"] = describe.Need{Kind: "redis"} }),
		name(func(a *describe.Application) {
			c := a.Spec.Components["server"]
			c.User = "1000:1"
			a.Spec.Components["server"] = c
		}),
	}
	for _, name := range names {
		if len(name) > 63 || !dnsLabel().MatchString(name) {
			t.Errorf("the name %s", name)
		}
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != 5 {
		t.Errorf("the names %v", names)
	}
	if again := name(func(*describe.Application) {}); !slices.Contains(names, again) {
		t.Errorf("the same job has the name %s", again)
	}
}
