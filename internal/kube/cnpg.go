package kube

import (
	"fmt"

	"github.com/libresh/libre/internal/instance"
)

// cluster is a PostgreSQL of CloudNativePG:
// https://cloudnative-pg.io/documentation/current/cloudnative-pg.v1/#cluster
type cluster struct {
	header `yaml:",inline"`
	Spec   clusterSpec `yaml:"spec"`
}

type clusterSpec struct {
	Instances int         `yaml:"instances"`
	ImageName string      `yaml:"imageName,omitempty"`
	Bootstrap bootstrap   `yaml:"bootstrap"`
	Storage   dataStorage `yaml:"storage"`
}

type bootstrap struct {
	InitDB initDB `yaml:"initdb"`
}

type initDB struct {
	Database string `yaml:"database"`
	Owner    string `yaml:"owner"`
	CType    string `yaml:"localeCType"`
}

type dataStorage struct {
	Size string `yaml:"size"`
}

// database is a database in a cluster:
// https://cloudnative-pg.io/documentation/current/declarative_database_management/
type database struct {
	header `yaml:",inline"`
	Spec   databaseSpec `yaml:"spec"`
}

type databaseSpec struct {
	Cluster    named   `yaml:"cluster"`
	Name       string  `yaml:"name"`
	Owner      string  `yaml:"owner"`
	Extensions []named `yaml:"extensions"`
}

type named struct {
	Name string `yaml:"name"`
}

const (
	cnpgVersion = "postgresql.cnpg.io/v1"
	// cnpgName is the longest name of a cluster, which its webhook checks.
	cnpgName = 50
	// cnpgImage follows the newest minor version of a major one:
	// https://github.com/cloudnative-pg/postgres-containers#rolling-tags
	cnpgImage = "ghcr.io/cloudnative-pg/postgresql:%d-standard-trixie"
	// cnpgOldest is the oldest major version that an operator may have as its default, if it
	// supports extensions in a Database (1.26 or later).
	cnpgOldest = 17
)

// addCluster writes a cluster for a need, and its database if the need has extensions.
func (r *renderer) addCluster(need string) error {
	versions, err := postgresVersions(need, r.Needs[need].Version)
	if err != nil {
		return err
	}
	o := &cluster{header: r.header(cnpgVersion, "Cluster", need)}
	o.Metadata.Name = instance.Shortened(o.Metadata.Name, cnpgName)
	// In the default locale, C, only ASCII letters count as letters.
	o.Spec = clusterSpec{Instances: 1, Bootstrap: bootstrap{initDB{databaseName, databaseName, "C.UTF-8"}}, Storage: dataStorage{dataSize}}
	if !versions.allFrom(cnpgOldest) {
		o.Spec.ImageName = fmt.Sprintf(cnpgImage, versions.newest)
	}
	name := o.Metadata.Name
	// https://cloudnative-pg.io/documentation/current/applications/
	r.provided[need] = provision{
		by: "The pods of CloudNativePG's cluster " + name, secret: name + "-app",
		keys: map[string]string{"url": "uri", "host": "host", "port": "port", "name": "dbname", "user": "username", "password": "password"},
		pods: map[string]string{"cnpg.io/cluster": name, "cnpg.io/podRole": "instance"}, port: 5432,
	}
	if err := r.add(o, "For CloudNativePG 1.26 or later, which makes the Secret "+name+"-app. Deleting this\ndeletes the data. With three instances the database survives the loss of one."); err != nil {
		return err
	}
	return r.addDatabase(need, name)
}

// addDatabase writes the cluster's first database, with its extensions.
func (r *renderer) addDatabase(need, cluster string) error {
	extensions := r.Needs[need].Extensions
	if len(extensions) == 0 {
		return nil
	}
	o := &database{header: r.header(cnpgVersion, "Database", need), Spec: databaseSpec{Cluster: named{cluster}, Name: databaseName, Owner: databaseName}}
	for _, extension := range extensions {
		o.Spec.Extensions = append(o.Spec.Extensions, named{extension})
	}
	return r.add(o, "The extensions. Wait until it is applied before jobs run.")
}
