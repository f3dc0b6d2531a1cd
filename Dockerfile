# Cuttle's image: the driver for every role, with the programs that a node needs. docs/image.md says what each part costs.
#
#   podman build -t cuttle .        or        docker build -t cuttle .
#
# Nothing here names a mirror or a registry: apt's settings are the base image's, npm's may come as the secret `npmrc`, and the
# certificate authorities of a proxy as the secret `ca`.

FROM debian:trixie-slim AS debian
RUN printf 'path-exclude=%s\n' '/usr/share/doc/*' '/usr/share/man/*' '/usr/share/locale/*' \
      '/usr/share/nodejs/corepack/*' '/usr/share/nodejs/@types/*' >/etc/dpkg/dpkg.cfg.d/cuttle \
 && printf 'path-include=%s\n' '/usr/share/doc/*/copyright' >>/etc/dpkg/dpkg.cfg.d/cuttle \
 && apt-get update -q

# The driver, compiled, with the packages that it runs with. Of those, what is for developers is left out.
FROM debian AS driver
RUN apt-get install -y -q --no-install-recommends nodejs npm
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
COPY packages/mount-utils-ts/package.json packages/mount-utils-ts/
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc --mount=type=secret,id=ca \
    NODE_EXTRA_CA_CERTS=/run/secrets/ca npm ci --ignore-scripts
COPY . .
RUN node_modules/.bin/tsc -b && npm prune --ignore-scripts --omit=dev
RUN mkdir -p /out/opt/cuttle \
 && cp -a --parents package.json bin node_modules dist/src \
      packages/mount-utils-ts/package.json packages/mount-utils-ts/dist/src /out/opt/cuttle \
 && cd /out/opt/cuttle \
 && rm -rf node_modules/koffi/vendor node_modules/koffi/doc \
 && find . -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -iname '*.md' \) -delete

# Programs out of packages that depend on Python, or on every other storage system, for what is not used here. What their libraries
# are is found out; dpkg's entry of each package goes along, so that a scanner knows what is there.
FROM debian AS programs
RUN apt-get install -y -q --no-install-recommends ceph-common ceph-fuse xfsprogs qemu-utils qemu-block-extra
RUN mkdir -p /out/var/lib/dpkg/status.d \
 && programs="/usr/bin/rbd /usr/sbin/mount.ceph /usr/bin/ceph-fuse \
      /usr/sbin/mkfs.xfs /usr/sbin/fsck.xfs /usr/sbin/xfs_growfs /usr/sbin/xfs_repair /usr/sbin/xfs_db \
      /usr/bin/qemu-storage-daemon $(find /usr/lib -path '*/qemu/block-rbd.so')" \
 && cp -a --parents $programs /out \
 && for package in ceph-common ceph-fuse xfsprogs qemu-utils qemu-block-extra; do \
      dpkg-query -s "$package" >"/out/var/lib/dpkg/status.d/$package" || exit 1; \
    done \
 && ldd $programs | awk '$2 == "=>" { print $3 }' | xargs realpath | xargs -n 1 basename | sort -u | sed 's|^|*/|' \
  | xargs dpkg -S | sed 's/[:,].*//' | sort -u >/libraries \
 && grep -x librbd1 /libraries

FROM debian:trixie-slim
COPY --from=debian /etc/dpkg/dpkg.cfg.d/cuttle /etc/dpkg/dpkg.cfg.d/
RUN --mount=type=bind,from=programs,source=/libraries,target=/libraries \
    apt-get update -q \
 && apt-get install -y -q --no-install-recommends nodejs librados2 librbd1 libcephfs2 rbd-nbd \
      mount util-linux e2fsprogs cryptsetup-bin kmod $(cat /libraries) \
 && apt-get clean \
 # Ceph's programs make it where it is missing, and end where they can't.
 && mkdir -p /run/ceph \
 && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*
COPY --from=programs /out /
COPY --from=driver /out /
# An image in which a program misses a library is none.
RUN for program in rbd mount.ceph ceph-fuse rbd-nbd mkfs.xfs xfs_growfs xfs_repair mkfs.ext4 resize2fs cryptsetup qemu-storage-daemon; do \
      libraries=$(ldd "$(command -v "$program")") && case $libraries in *'not found'*) exit 1 ;; esac || exit 1; \
    done \
 && node /opt/cuttle/bin/cuttle.cjs --version
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="Cuttle" \
      org.opencontainers.image.description="A CSI driver for Ceph: RBD images and CephFS directories" \
      org.opencontainers.image.version="$VERSION"
ENV NODE_ENV=production
# The node's role needs root, the controller's does not: any user will do, and a root file system that is read-only.
ENTRYPOINT ["/usr/bin/node", "/opt/cuttle/bin/cuttle.cjs"]
CMD ["--help"]
