package kube

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// restricted returns why Pod Security restricted refuses a pod; "" if it accepts it.
func restricted(t *testing.T, pod corev1.PodTemplateSpec) string {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	result := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec))
	if result.Allowed {
		return ""
	}
	return result.ForbiddenDetail()
}

// templateOf returns the template of an object's pods; nil if it has none.
func templateOf(o any) *corev1.PodTemplateSpec {
	switch o := o.(type) {
	case *appsv1.Deployment:
		return &o.Spec.Template
	case *appsv1.StatefulSet:
		return &o.Spec.Template
	case *batchv1.Job:
		return &o.Spec.Template
	case *batchv1.CronJob:
		return &o.Spec.JobTemplate.Spec.Template
	}
	return nil
}

// All pods of libre's own apps and of the template's pass, with and without what is optional.
func TestPodsPassPodSecurityRestricted(t *testing.T) {
	apps := ownApps(t)
	for _, name := range []string{"caddy/default", "docs/default", "docs/lyon", "guestbook/default", "guestbook/lyon", "pocketbase/default", "registry/default"} {
		if apps[name] == nil {
			t.Fatalf("no app %s among %d", name, len(apps))
		}
	}
	for name, a := range apps {
		for _, r := range []run{{}, everything(a)} {
			pods := 0
			for _, file := range plain(t, a, r) {
				pod := templateOf(decode(t, file))
				if pod == nil {
					continue
				}
				pods++
				if why := restricted(t, *pod); why != "" {
					t.Errorf("%s: %s: %s", name, file.Name, why)
				}
				if security := pod.Spec.Containers[0].SecurityContext; !*security.ReadOnlyRootFilesystem || *pod.Spec.AutomountServiceAccountToken {
					t.Errorf("%s: %s: the root file system can be written, or the pod has a token", name, file.Name)
				}
				// The evaluator does find a forbidden pod.
				pod.Spec.Containers[0].SecurityContext.Capabilities = nil
				if restricted(t, *pod) == "" {
					t.Errorf("%s: %s passes with capabilities", name, file.Name)
				}
			}
			if pods == 0 {
				t.Errorf("%s has no pods", name)
			}
		}
	}
}

func TestImagesThatCannotBeRunAreRefused(t *testing.T) {
	for _, c := range []struct{ user, digest, want string }{
		{"0", "sha256:1", "the image runs as user 0: Kubernetes' Pod Security restricted needs another than root, so set user in the definition"},
		{"0:1000", "sha256:1", "the image runs as user 0:1000: Kubernetes' Pod Security restricted needs another than root, so set user in the definition"},
		{"nginx", "sha256:1", `"nginx" is not a numeric user: set user to UID or UID:GID in the definition`},
		{"1000", "", "the image of guestbook/backend has no digest: build it first, by libre build guestbook"},
	} {
		a := app(t, "guestbook")
		backend := a.Spec.Components["backend"]
		backend.User, backend.Image.Digest = c.user, c.digest
		a.Spec.Components["backend"] = backend
		if _, err := (run{}).plain(a); err == nil || err.Error() != c.want {
			t.Errorf("user %q, digest %q: %v, want %s", c.user, c.digest, err, c.want)
		}
	}
}
