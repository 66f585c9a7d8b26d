package build

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/libresh/libre/internal/pgtest"
	"github.com/libresh/libre/internal/testkit"
)

// rendered returns the pods of rendered objects, by the object's kind and component.
func rendered(t *testing.T, c catalogue, args ...string) map[string]corev1.PodTemplateSpec {
	t.Helper()
	dir := t.TempDir()
	c.libre(t, append([]string{"render", "--host", "book.example.org", "--to", "registry.example/lasuite", "--output", dir}, args...)...)
	pods := map[string]corev1.PodTemplateSpec{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var of metav1.TypeMeta
		if err := yaml.Unmarshal(text, &of); err != nil {
			return err
		}
		switch of.Kind {
		case "Deployment":
			var object appsv1.Deployment
			err = yaml.UnmarshalStrict(text, &object)
			pods["Deployment "+object.Labels["app.kubernetes.io/component"]] = object.Spec.Template
		case "Job":
			var object batchv1.Job
			err = yaml.UnmarshalStrict(text, &object)
			pods["Job "+object.Labels["app.kubernetes.io/component"]] = object.Spec.Template
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pods
}

// podOf returns the reference and the options with which runc runs a pod's container exactly as
// the object describes it.
func podOf(t *testing.T, pod corev1.PodTemplateSpec, secrets map[string]string) (reference string, with changes) {
	t.Helper()
	container := pod.Spec.Containers[0]
	with = changes{command: container.Args, readOnly: *container.SecurityContext.ReadOnlyRootFilesystem}
	with.user = fmt.Sprintf("%d:%d", *pod.Spec.SecurityContext.RunAsUser, *pod.Spec.SecurityContext.RunAsGroup)
	for _, v := range container.Env {
		value := v.Value
		if from := v.ValueFrom; from != nil {
			var known bool
			if value, known = secrets[from.SecretKeyRef.Name+"/"+from.SecretKeyRef.Key]; !known {
				t.Fatalf("the object asks for the secret %s/%s", from.SecretKeyRef.Name, from.SecretKeyRef.Key)
			}
		}
		with.env = append(with.env, v.Name+"="+value)
	}
	empty := map[string]bool{}
	for _, volume := range pod.Spec.Volumes {
		empty[volume.Name] = volume.EmptyDir != nil
	}
	for _, mount := range container.VolumeMounts {
		if !empty[mount.Name] {
			t.Fatalf("the object mounts %s, which is no empty folder", mount.Name)
		}
		with.mounts = append(with.mounts, mount.MountPath)
	}
	image := strings.TrimPrefix(container.Image, "registry.example/lasuite/")
	reference, digest, _ := strings.Cut(image, "@")
	if !strings.HasPrefix(digest, "sha256:") {
		t.Fatalf("%s is not pinned", container.Image)
	}
	return reference, with
}

// The rendered objects of guestbook are complete: its images run with exactly these settings,
// each in a separate network, with a real PostgreSQL. The migration runs first.
func TestRenderedGuestbookRuns(t *testing.T) {
	t.Parallel()
	c := demo(t)
	testkit.RequireRoot(t)
	testkit.Require(t, "runc")
	server := pgtest.Start(t)
	for _, v := range []struct{ name, variant, needs, secret, scheme, brand, foreign string }{
		{"default", "default", "secret", "guestbook-postgres/url", "postgres", defaultBrand, lyonBrand},
		{"lyon", "lyon", "secret", "guestbook-postgres/url", "postgres", lyonBrand, defaultBrand},
		{"cnpg", "default", "cnpg", "guestbook-postgres-app/uri", "postgresql", defaultBrand, lyonBrand},
	} {
		t.Run(v.name, func(t *testing.T) {
			pods := rendered(t, c, "guestbook/*/"+v.variant, "--needs", v.needs)
			database, err := url.Parse(pgtest.CreateDatabase(t, server, "rendered_"+v.name))
			if err != nil {
				t.Fatal(err)
			}
			outside := database.Host
			database.Scheme, database.Host = v.scheme, "127.0.0.1:5432"
			secrets := map[string]string{v.secret: database.String()}
			run := func(object string) (*container, *podNetwork) {
				t.Helper()
				pod, known := pods[object]
				if !known {
					t.Fatalf("render writes no %s", object)
				}
				network := newPodNetwork(t)
				network.forward(t, 5432, outside)
				reference, with := podOf(t, pod, secrets)
				with.network = network.path
				return runContainer(t, c, reference, with), network
			}
			// Before the migration the backend does not run.
			early, _ := run("Deployment web")
			select {
			case <-early.Exited:
			case <-time.After(testkit.Patience):
			}
			if early.Running() == nil || !strings.Contains(early.Log.String(), "migrate") {
				t.Errorf("the backend runs before the migration:\n%s", early.Log)
			}

			migrate, _ := run("Job migrate")
			if log := migrate.wait(t); !strings.Contains(log, "the database is at schema version") {
				t.Errorf("migrate printed:\n%s", log)
			}
			web, behind := run("Deployment web")
			front, before := run("Deployment frontend")
			if status, body := eventually(t, behind.client(), "/healthz"); status != http.StatusOK {
				t.Errorf("/healthz of web: %d %s", status, body)
			}
			if status, page := eventually(t, before.client(), "/"); status != http.StatusOK || !strings.Contains(page, "<h1>"+v.brand+"</h1>") || strings.Contains(page, v.foreign) {
				t.Errorf("/ of frontend: %d\n%s", status, page)
			}
			if status, body := eventually(t, behind.client(), "/api/brand"); status != http.StatusOK || !strings.Contains(body, v.brand) {
				t.Errorf("/api/brand of web: %d %s", status, body)
			}
			response, err := behind.client().Post("http://127.0.0.1:8080/api/entries", "application/json", strings.NewReader(`{"name":"Louise Labé","message":"Bonjour"}`))
			if status, body, err := read(response, err); err != nil || status != http.StatusCreated {
				t.Errorf("posting: %d %s, %v", status, body, err)
			}
			front.stop(t)
			web.stop(t)
		})
	}
}

// eventually asks for a path until the server answers.
func eventually(t *testing.T, client *http.Client, path string) (status int, body string) {
	t.Helper()
	err := testkit.Eventually(func() (err error) {
		status, body, err = get(client, "http://127.0.0.1:8080"+path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return status, body
}
