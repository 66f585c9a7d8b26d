package kube

import (
	"bytes"
	"cmp"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cnpgv1 "github.com/cloudnative-pg/api/pkg/api/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/describe/describetest"
	"github.com/libresh/libre/internal/instance"
	"github.com/libresh/libre/internal/kit"
)

var update = flag.Bool("update", false, "write the golden files anew")

// kinds has the types of Kubernetes and CloudNativePG for the objects that render writes.
var kinds = map[metav1.TypeMeta]func() any{
	{APIVersion: "v1", Kind: "Service"}:                         func() any { return &corev1.Service{} },
	{APIVersion: "v1", Kind: "ServiceAccount"}:                  func() any { return &corev1.ServiceAccount{} },
	{APIVersion: "v1", Kind: "ConfigMap"}:                       func() any { return &corev1.ConfigMap{} },
	{APIVersion: "v1", Kind: "PersistentVolumeClaim"}:           func() any { return &corev1.PersistentVolumeClaim{} },
	{APIVersion: "apps/v1", Kind: "Deployment"}:                 func() any { return &appsv1.Deployment{} },
	{APIVersion: "apps/v1", Kind: "StatefulSet"}:                func() any { return &appsv1.StatefulSet{} },
	{APIVersion: "batch/v1", Kind: "Job"}:                       func() any { return &batchv1.Job{} },
	{APIVersion: "batch/v1", Kind: "CronJob"}:                   func() any { return &batchv1.CronJob{} },
	{APIVersion: "networking.k8s.io/v1", Kind: "Ingress"}:       func() any { return &networkingv1.Ingress{} },
	{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"}: func() any { return &networkingv1.NetworkPolicy{} },
	{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"}:      func() any { return &policyv1.PodDisruptionBudget{} },
	{APIVersion: cnpgVersion, Kind: "Cluster"}:                  func() any { return &cnpgv1.Cluster{} },
	{APIVersion: cnpgVersion, Kind: "Database"}:                 func() any { return &cnpgv1.Database{} },
}

// decode reads an object into Kubernetes' own type, and refuses unknown fields.
func decode(t *testing.T, file kit.File) any {
	t.Helper()
	if file.Name == secretsName || strings.HasPrefix(file.Name, valuesFolder) { // comments, or for helm
		return nil
	}
	var head metav1.TypeMeta
	if err := yaml.Unmarshal(file.Content, &head); err != nil {
		t.Fatalf("%s: %v", file.Name, err)
	}
	kind, known := kinds[head]
	if !known {
		t.Fatalf("%s has the unknown kind %s", file.Name, head)
	}
	o := kind()
	if err := yaml.UnmarshalStrict(file.Content, o); err != nil {
		t.Fatalf("%s: %v\n%s", file.Name, err, file.Content)
	}
	return o
}

// app returns the document of one of libre's own apps, or of files or servers, which use
// features that libre's own apps do not.
func app(t *testing.T, name string) *describe.Application {
	t.Helper()
	if slices.Contains(describetest.Names(t), name) {
		return describetest.App(t, name)
	}
	content, err := os.ReadFile("testdata/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	return describetest.Parse(t, content)
}

// run says how an app runs.
type run struct {
	instance.Options
	kube Options
}

func (r run) plain(a *describe.Application) ([]kit.File, error) {
	r.Host = cmp.Or(r.Host, "app.example.org")
	i, err := instance.New(a, r.Options)
	if err != nil {
		return nil, err
	}
	if r.kube.Router == nil {
		r.kube.Router = caddy()
	}
	return Plain(i, r.kube)
}

// caddy returns the catalogue's Caddy with an image.
func caddy() *describe.Application {
	return &describe.Application{Metadata: describe.Metadata{Name: "caddy"}, Spec: describe.Spec{
		Registry: "registry.example/coop",
		Components: map[string]describe.Component{"server": {
			Image: &describe.Image{Reference: "caddy-server-default:2.11.9-1", Digest: "sha256:" + strings.Repeat("c", 64)},
			User:  "1000:1000", Volumes: []string{"/config", "/data", "/srv"},
		}},
	}}
}

func plain(t *testing.T, a *describe.Application, r run) []kit.File {
	t.Helper()
	files, err := r.plain(a)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func stream(files []kit.File) []byte {
	var all bytes.Buffer
	for _, file := range files {
		all.WriteString("---\n# " + file.Name + "\n")
		all.Write(file.Content)
	}
	return all.Bytes()
}

func TestPlainObjectsAreKubernetesOwnAndStable(t *testing.T) {
	for _, c := range []struct {
		golden, app string
		r           run
	}{
		{"guestbook", "guestbook", run{instance.Options{Host: "guestbook.example.org"}, Options{Namespace: "guestbook"}}},
		{"files", "files", run{instance.Options{Host: "files.example.org", Settings: map[string]string{"ADMIN": "me@example.org"}}, Options{IngressNamespace: "ingress"}}},
		{"servers-cnpg", "servers", run{instance.Options{Host: "servers.example.org"}, Options{Needs: "cnpg"}}},
		{"servers-cloudpirates", "servers", run{instance.Options{Host: "servers.example.org"}, Options{Needs: CloudPirates, Namespace: "apps"}}},
	} {
		t.Run(c.golden, func(t *testing.T) {
			files := plain(t, app(t, c.app), c.r)
			for _, file := range files {
				decode(t, file)
			}
			got := stream(files)
			if again := stream(plain(t, app(t, c.app), c.r)); !bytes.Equal(got, again) {
				t.Error("the same input gave other bytes")
			}
			path := filepath.Join("testdata/golden", c.golden+".yaml")
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("differs from %s (go test -update writes it):\n%s", path, got)
			}
		})
	}
}

func rendererOf(t *testing.T, a *describe.Application, r run) *renderer {
	t.Helper()
	r.Host = cmp.Or(r.Host, "app.example.org")
	i, err := instance.New(a, r.Options)
	if err != nil {
		t.Fatal(err)
	}
	return newRenderer(i, r.kube)
}

// An object with a field that Kubernetes does not know would fail these tests.
func TestDecodingIsStrict(t *testing.T) {
	for _, content := range []string{"spec: {selectors: {}}", "metadata: {label: {}}", "spec: {ports: [{prot: TCP}]}"} {
		if err := yaml.UnmarshalStrict([]byte(content), &corev1.Service{}); err == nil {
			t.Errorf("%s is decoded", content)
		}
	}
	for _, content := range []string{"spec: {bootstrap: {initDB: {}}, image: x}", "spec: {storage: {sizes: 1Gi}}"} {
		if err := yaml.UnmarshalStrict([]byte(content), &cnpgv1.Cluster{}); err == nil {
			t.Errorf("%s is decoded", content)
		}
	}
}
