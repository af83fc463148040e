import type { DriverNeeds } from '@atomixos/image/kernel/board-drivers.ts'

const noDisplay = 'the gateway has no display'
const noSound = 'the gateway plays no sound'
const notADevice = true

/** The Rock64's devices, for the check that every one of them has its driver in the right place. */
export const rock64Drivers: DriverNeeds = {
  inKernel: {
    'arm,cortex-a53': notADevice,
    'arm,idle-state': 'CONFIG_ARM_PSCI_CPUIDLE',
    cache: notADevice,
    'operating-points-v2': 'CONFIG_PM_OPP',
    'arm,cortex-a53-pmu': 'CONFIG_ARM_PMUV3',
    'arm,psci-1.0': 'CONFIG_ARM_PSCI_FW',
    'arm,armv8-timer': 'CONFIG_ARM_ARCH_TIMER',
    'fixed-clock': 'CONFIG_COMMON_CLK',
    syscon: 'CONFIG_MFD_SYSCON',
    'rockchip,rk3328-power-controller': 'CONFIG_ROCKCHIP_PM_DOMAINS',
    'snps,dw-apb-uart': 'CONFIG_SERIAL_8250_DW',
    'rockchip,rk805': 'CONFIG_MFD_RK8XX_I2C',
    'rockchip,iommu': 'CONFIG_ROCKCHIP_IOMMU',
    'rockchip,rk3328-cru': 'CONFIG_CLK_RK3328',
    'arm,gic-400': 'CONFIG_ARM_GIC',
    'rockchip,rk3328-pinctrl': 'CONFIG_PINCTRL_ROCKCHIP',
  },
  otherAliases: { 'arm,pl330': 'amba:d00041330' },
  unused: {
    'simple-audio-card': noSound,
    'rockchip,rk3328-i2s': noSound,
    'rockchip,rk3328-spdif': noSound,
    'rockchip,rk3328-codec': noSound,
    'linux,spdif-dit': noSound,
    'rockchip,display-subsystem': noDisplay,
    'rockchip,rk3328-mali': noDisplay,
    'rockchip,rk3328-vop': noDisplay,
    'rockchip,rk3328-dw-hdmi': noDisplay,
    'rockchip,rk3328-hdmi-phy': noDisplay,
    'rockchip,rk3328-vpu': noDisplay,
    'rockchip,rk3328-vdec': noDisplay,
    'gpio-ir-receiver': 'nobody points a remote control at it',
    'rockchip,rk3328-crypto': "slower than the processor's own instructions",
  },
  // eMMC (and the SD slot, which is the same controller); the voltage of its pins; the watchdog.
  initrd: ['rockchip,rk3328-dw-mshc', 'rockchip,rk3328-io-voltage-domain', 'rockchip,rk3328-wdt'],
  required: [
    'rockchip,rk3328-gmac',
    'rockchip,rk805',
    // The SPI controller waits for its DMA engine, and the flash with U-Boot's environment for the controller.
    'arm,pl330',
    'jedec,spi-nor',
    'snps,dwc2',
    'snps,dwc3',
    'generic-ehci',
    'generic-ohci',
    'rockchip,rk3328-usb2phy',
    'rockchip,rk3328-tsadc',
    'gpio-leds',
  ],
}
