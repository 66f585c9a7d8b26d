package kube

import (
	"fmt"
	"strings"

	"github.com/libresh/libre/internal/kit"
	"github.com/libresh/libre/internal/text"
)

// A chart is a chart of CloudPirates, in the version whose values and templates libre was
// written for:
// https://github.com/CloudPirates-io/helm-charts
type chart struct {
	name, version string
	port          int
}

var (
	postgresChart = chart{"postgres", "0.20.1", 5432}
	mariaDBChart  = chart{"mariadb", "0.16.11", 3306}
	valkeyChart   = chart{"valkey", "0.25.5", 6379}
	minIOChart    = chart{"minio", "0.13.3", 9000}
)

// valuesFolder is the folder of the values of charts, which are not Kubernetes objects.
const valuesFolder = "helm/"

// needLabel is the label that selects the pods of a chart. The chart's own labels contain the
// name of the release, which the person who installs the chart chooses.
const needLabel = "libre.sh/need"

// addChart writes the values of a chart for a need. keys and fixed are as in provision. secret
// is the suffix of the Secret's name, and notes are lines for people.
func (r *renderer) addChart(need string, c chart, values map[string]any, secret string, keys, fixed map[string]string, notes ...string) error {
	name := r.ObjectName(need)
	values["fullnameOverride"] = name
	values["podLabels"] = map[string]string{needLabel: name}
	fixed["host"], fixed["port"] = name, fmt.Sprint(c.port)
	r.provided[need] = provision{
		by: "The pods of the chart " + c.name, secret: name + secret, keys: keys, fixed: fixed,
		pods: map[string]string{needLabel: name}, port: c.port,
	}
	file, err := kit.YAML(valuesFolder+name+".yaml", r.chartComment(name, secret, c, notes), values)
	r.files = append(r.files, file)
	return err
}

func (r *renderer) chartComment(name, secret string, c chart, notes []string) string {
	lines := []string{
		fmt.Sprintf("Values for the chart %s of CloudPirates, as it is in version %s:", c.name, c.version),
		fmt.Sprintf("  helm upgrade --install %s oci://registry-1.docker.io/cloudpirates/%s --version %s%s --values %s", name, c.name, c.version, r.inNamespace(), valuesFolder+name+".yaml"),
		"It makes the Secret " + name + secret + ".",
		"helm keeps the password there. A tool that renders charts without the cluster, such as",
		"helm template, makes a new password each time.",
	}
	return strings.Join(append(lines, notes...), "\n") + "\n"
}

// inNamespace returns the namespace flag of helm and kubectl; "" without a namespace.
func (r *renderer) inNamespace() string {
	if r.o.Namespace == "" {
		return ""
	}
	return " --namespace " + r.o.Namespace
}

// addPostgresChart writes values with a user who owns the database, and is not a superuser.
func (r *renderer) addPostgresChart(need string) error {
	versions, err := postgresVersions(need, r.Needs[need].Version)
	if err != nil {
		return err
	}
	values := map[string]any{
		"customUser":  map[string]string{"name": databaseName, "database": databaseName},
		"persistence": map[string]string{"size": dataSize},
	}
	var notes []string
	if !versions.has(knownPostgres[0]) {
		values["image"] = map[string]string{"tag": fmt.Sprint(versions.newest)}
	}
	if extensions := r.Needs[need].Extensions; len(extensions) > 0 {
		values["initdb"] = map[string]any{"scripts": map[string]string{"10-extensions.sql": createExtensions(extensions)}}
		notes = append(notes, "The scripts run once, when the database is made.")
	}
	keys := map[string]string{"user": "CUSTOM_USER", "name": "CUSTOM_DB", "password": "CUSTOM_PASSWORD"}
	url := fmt.Sprintf("postgres://$(user):$(password)@%s:%d/$(name)", r.ObjectName(need), postgresChart.port)
	return r.addChart(need, postgresChart, values, "-custom-user-credentials", keys, map[string]string{"url": url}, notes...)
}

// createExtensions returns SQL for psql. instance.CheckDocument has checked the names.
func createExtensions(names []string) string {
	sql := "\\connect " + databaseName + "\n"
	for _, name := range names {
		sql += fmt.Sprintf("CREATE EXTENSION IF NOT EXISTS \"%s\";\n", name)
	}
	return sql
}

func (r *renderer) addMariaDBChart(need string) error {
	values := map[string]any{
		"auth":        map[string]string{"username": databaseName, "database": databaseName},
		"persistence": map[string]string{"size": dataSize},
	}
	url := fmt.Sprintf("mysql://%s:$(password)@%s:%d/%[1]s", databaseName, r.ObjectName(need), mariaDBChart.port)
	fixed := map[string]string{"url": url, "user": databaseName, "name": databaseName}
	return r.addChart(need, mariaDBChart, values, "", map[string]string{"password": "mariadb-password"}, fixed, r.worksWith(need, "MariaDB")...)
}

// worksWith returns a note about the versions that the app works with. They may be versions of
// another server.
func (r *renderer) worksWith(need, server string) []string {
	if version := r.Needs[need].Version; version != "" {
		return []string{"The app needs " + r.Needs[need].Kind + " " + text.Line(version) + ". Check whether this " + server + " fits."}
	}
	return nil
}

func (r *renderer) addValkeyChart(need string) error {
	values := map[string]any{"persistence": map[string]string{"size": dataSize}}
	url := fmt.Sprintf("redis://:$(password)@%s:%d/0", r.ObjectName(need), valkeyChart.port)
	fixed := map[string]string{"url": url, "user": "default"}
	return r.addChart(need, valkeyChart, values, "", map[string]string{"password": "password"}, fixed, r.worksWith(need, "Valkey")...)
}

// addMinIOChart writes values for a server with one bucket. The chart makes the bucket, but no
// user for it.
func (r *renderer) addMinIOChart(need string) error {
	name := r.ObjectName(need)
	values := map[string]any{"defaultBuckets": databaseName, "persistence": map[string]string{"size": dataSize}}
	notes := []string{"The app logs in as the server's administrator. Use the server for this app only."}
	if r.Needs[need].Versioning {
		notes = append(notes, "The app needs versions of objects, which the chart cannot turn on. Do it once:",
			"  kubectl exec"+r.inNamespace()+" deploy/"+name+` -- sh -c 'MC_HOST_local=http://$MINIO_ROOT_USER:$MINIO_ROOT_PASSWORD@127.0.0.1:9000 mc --config-dir /tmp/mc version enable local/`+databaseName+"'")
	}
	keys := map[string]string{"accessKey": "root-user", "secretKey": "root-password"}
	fixed := map[string]string{"endpoint": fmt.Sprintf("http://%s:%d", name, minIOChart.port), "region": "us-east-1", "name": databaseName}
	return r.addChart(need, minIOChart, values, "", keys, fixed, notes...)
}
