// Package deploy tests what is in the directory deploy: the start-up script
// of the image, the compose files, the relay to Elasticsearch and the systemd
// units. There is no code here besides tests, and no container engine is needed:
// the script runs in a temporary directory under every shell that is there, with
// programs that only record how they were called and with the real ones; the
// other files are parsed and compared with the programs they are about.
//
// What needs the parsers of Docker is in the module tools/deploylint.
package deploy
