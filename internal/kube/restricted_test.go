package kube

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// restricted returns why Pod Security restricted refuses a pod; "" if it does not.
func restricted(t *testing.T, pod corev1.PodTemplateSpec) string {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks())
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

func TestPodsPassPodSecurityRestricted(t *testing.T) {
	pods := 0
	for _, file := range plain(t, app(t, "guestbook"), run{}) {
		deployment, runsPods := decode(t, file).(*appsv1.Deployment)
		if !runsPods {
			continue
		}
		pods++
		if why := restricted(t, deployment.Spec.Template); why != "" {
			t.Errorf("%s: %s", file.Name, why)
		}
		// The evaluator finds what it should.
		deployment.Spec.Template.Spec.Containers[0].SecurityContext.Capabilities = nil
		if restricted(t, deployment.Spec.Template) == "" {
			t.Errorf("%s passes with capabilities", file.Name)
		}
	}
	if pods != 2 {
		t.Errorf("%d workloads, want 2", pods)
	}
}

func TestImagesThatCannotBeRunAreRefused(t *testing.T) {
	for _, c := range []struct{ user, digest, want string }{
		{"0", "sha256:1", "the image runs as user 0: Kubernetes' Pod Security restricted needs another than root, so set user in the definition"},
		{"0:1000", "sha256:1", "the image runs as user 0:1000: Kubernetes' Pod Security restricted needs another than root, so set user in the definition"},
		{"nginx", "sha256:1", `"nginx" is no numeric user: set user to UID or UID:GID in the definition`},
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
