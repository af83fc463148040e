import type { Module } from '@atomixos/image/definition/words.ts'

/**
 * The kernel and the modules that the root file system carries, by what needs them; dependencies come along. One
 * list serves both machines: the image that is tested is the one that is flashed.
 */
export const kernel: Module = {
  name: 'kernel',
  packages: ['linux-image-arm64'],
  kernelModules: [
    // Rock64, by its device tree: pins, power, clocks, disks, the SPI flash with U-Boot's environment, USB, watchdog.
    ...['gpio_rockchip', 'gpio_syscon', 'i2c_rk3x', 'rk8xx_i2c', 'rk808_regulator', 'pinctrl_rk805', 'fixed'],
    ...[
      'io_domain',
      'syscon_reboot_mode',
      'nvmem_rockchip_efuse',
      'dw_mmc_rockchip',
      'spi_rockchip',
      'spi_nor',
      'pl330',
    ],
    ...['phy_rockchip_inno_usb2', 'dwc2', 'dwc3', 'xhci_plat_hcd', 'ehci_platform', 'ohci_platform'],
    ...['dw_wdt', 'rockchip_thermal', 'cpufreq_dt', 'leds_gpio', 'ledtrig_heartbeat'],
    // QEMU's virt machine.
    ...[
      'virtio_blk',
      'virtio_net',
      'virtio_rng',
      'qemu_fw_cfg',
      'sdhci_pci',
      'i6300esb',
      'xhci_pci',
      'gpio_pl061',
    ],
    // Ethernet: onboard and the USB adapters that may serve the LAN.
    ...['dwmac_rk', 'realtek', 'r8152', 'ax88179_178a', 'cdc_ether', 'cdc_ncm', 'r8153_ecm'],
    // File systems: root, data, boot slots, and what people have on USB sticks.
    ...[
      'squashfs',
      'overlay',
      'f2fs',
      'vfat',
      'exfat',
      'ext4',
      'nls_utf8',
      'nls_ascii',
      'nls_cp437',
      'nls_iso8859_1',
    ],
    ...['usb_storage', 'uas', 'sd_mod', 'ramoops'],
    // RAUC: bundles are dm-verity on a loop device. It streams nothing, for which it would need nbd.
    ...['loop', 'dm_mod', 'dm_verity'],
    // Firewall: what nftables may ask for, by family.
    ...[
      'nf_tables',
      'nft_ct',
      'nft_limit',
      'nft_log',
      'nft_reject_inet',
      'nft_reject_ipv4',
      'nft_reject_ipv6',
    ],
    ...[
      'nft_chain_nat',
      'nft_masq',
      'nft_nat',
      'nft_redir',
      'nft_fib_inet',
      'nft_numgen',
      'nft_hash',
      'nft_quota',
    ],
    ...['nf_log_syslog', 'nf_conntrack_netlink', 'nft_connlimit', 'nft_tproxy', 'nft_socket', 'nft_compat'],
    // Containers (netavark, pasta), VPN.
    ...[
      'bridge',
      'br_netfilter',
      'veth',
      'macvlan',
      'ipvlan',
      'vxlan',
      'dummy',
      'tun',
      'xt_comment',
      'xt_mark',
    ],
    ...['sch_htb', 'sch_tbf', 'cls_u32', 'act_police', 'tcp_bbr'],
    // Serial adapters: machines on the LAN side are often reached by one.
    ...['cdc_acm', 'ftdi_sio', 'pl2303', 'cp210x', 'ch341'],
    // A keyboard at the console.
    ...['usbhid', 'hid_generic'],
    // Checksums and ciphers, found by what they do and not by name: f2fs and nf_tables fail without their CRC.
    ...['crc32_generic', 'crc32c_generic', 'crct10dif_ce', 'ghash_ce', 'aes_ce_blk', 'sha1_ce', 'sha2_ce'],
    // systemd asks for it by name at every start.
    'autofs4',
  ],
}
