package options

func natsOptions(s *settings) []*option {
	return []*option{
		{
			name: "msq", env: []string{"DSIEM_MSQ"}, urls: true, modes: natsModes,
			value: text{p: &s.NATS, form: "URL,…"}, def: "nats://dsiem-nats:4222",
			help: "NATS servers, with user:password@ if they want it; tls:// for TLS.",
		},
		{
			name: "nats-creds", env: []string{"DSIEM_NATS_CREDS", "DSIEM_NATSCREDS"}, modes: natsModes,
			value: text{p: &s.NATSCreds, form: "FILE", optional: true},
			help:  "Credentials file, with a JWT and its key.",
		},
		{
			name: "nats-nkey", env: []string{"DSIEM_NATS_NKEY", "DSIEM_NATSNKEY"}, modes: natsModes,
			value: text{p: &s.NATSNKey, form: "FILE", optional: true},
			help:  "File with the seed of an NKey.",
		},
		{
			name: "nats-ca", env: []string{"DSIEM_NATS_CA", "DSIEM_NATSCA"}, modes: natsModes,
			value: text{p: &s.NATSCA, form: "FILE", optional: true},
			help:  "Certificates (PEM) that the server's certificate must lead to, instead of the system's.",
		},
		{
			name: "nats-cert", env: []string{"DSIEM_NATS_CERT", "DSIEM_NATSCERT"}, modes: natsModes,
			value: text{p: &s.NATSCert, form: "FILE", optional: true},
			help:  "Our certificate (PEM), with --nats-key.",
		},
		{
			name: "nats-key", env: []string{"DSIEM_NATS_KEY", "DSIEM_NATSKEY"}, modes: natsModes,
			value: text{p: &s.NATSKey, form: "FILE", optional: true},
			help:  "Our certificate's key (PEM), with --nats-cert.",
		},
	}
}

func natsListenOptions(s *settings) []*option {
	l := &s.Listen
	return []*option{
		{
			name: "nats-listen", env: []string{"DSIEM_NATS_LISTEN", "DSIEM_NATSLISTEN"}, urls: true, modes: standaloneMode,
			value: listenURL{&l.URL}, shown: "nowhere",
			help: "Be a NATS server at this address, so that backends elsewhere get the events too: HOST:PORT, or " +
				"nats://USER:PASSWORD@HOST:PORT to let in only who knows these.",
		},
		{
			name: "nats-listen-cert", env: []string{"DSIEM_NATS_LISTEN_CERT", "DSIEM_NATSLISTENCERT"}, modes: standaloneMode,
			value: text{p: &l.CertFile, form: "FILE", optional: true},
			help:  "That server's certificate (PEM), with --nats-listen-key: it wants TLS.",
		},
		{
			name: "nats-listen-key", env: []string{"DSIEM_NATS_LISTEN_KEY", "DSIEM_NATSLISTENKEY"}, modes: standaloneMode,
			value: text{p: &l.KeyFile, form: "FILE", optional: true},
			help:  "That certificate's key (PEM), with --nats-listen-cert.",
		},
		{
			name: "nats-listen-ca", env: []string{"DSIEM_NATS_LISTEN_CA", "DSIEM_NATSLISTENCA"}, modes: standaloneMode,
			value: text{p: &l.CAFile, form: "FILE", optional: true},
			help:  "Certificates (PEM) that a client's certificate must lead to; without it clients need none.",
		},
	}
}
